import { Device, type DeviceChange, FIRST_RESOURCE_ID } from "./device.ts";
import type { NaturalChange } from "./site-options.ts";

export interface FleetOptions {
  readonly seed: number;
  readonly siteCode: string;
  readonly devices: number;
  readonly onlineShare: number;
  readonly programsPerDevice: number;
  readonly since: number;
  readonly natural: NaturalChange;
}

/** All devices of a site: each is made from (seed, ResourceID) when somebody looks; only what changed is kept. */
export class Fleet {
  readonly options: FleetOptions;
  readonly #now: () => number;
  #overlay = new Map<number, DeviceChange>();
  #removed = new Set<number>();
  #lastId: number;

  constructor(options: FleetOptions, now: () => number) {
    this.options = options;
    this.#now = now;
    this.#lastId = FIRST_RESOURCE_ID + options.devices - 1;
  }

  get size(): number {
    return this.#lastId - FIRST_RESOURCE_ID + 1 - this.#removed.size;
  }

  get lastId(): number {
    return this.#lastId;
  }

  device(id: number): Device | undefined {
    const isThere = id >= FIRST_RESOURCE_ID && id <= this.#lastId && !this.#removed.has(id);
    if (!isThere || !Number.isInteger(id)) return undefined;
    return new Device(id, this.options, this.#overlay.get(id), this.#now());
  }

  /** In the order of their ids, from `min` to `max`, both included. */
  *between(min: number, max: number): Generator<Device> {
    const now = this.#now();
    const end = Math.min(max, this.#lastId);
    for (let id = Math.max(min, FIRST_RESOURCE_ID); id <= end; id += 1) {
      if (this.#removed.has(id)) continue;
      yield new Device(id, this.options, this.#overlay.get(id), now);
    }
  }

  /** Returns its id. */
  add(change: DeviceChange): number {
    this.#lastId += 1;
    this.#overlay.set(this.#lastId, { createdAt: this.#now(), ...change });
    return this.#lastId;
  }

  /** Nothing happens where it was never added. */
  remove(id: number): void {
    if (id > this.#lastId) return;
    this.#removed.add(id);
    this.#overlay.delete(id);
  }

  change(id: number, change: DeviceChange): void {
    this.#overlay.set(id, { ...this.#overlay.get(id), ...change });
  }

  overlayOf(id: number): DeviceChange {
    return this.#overlay.get(id) ?? {};
  }

  /** Everything that is not made from the seed, for a backup. */
  state() {
    return {
      overlay: new Map(this.#overlay),
      removed: new Set(this.#removed),
      lastId: this.#lastId,
    };
  }

  restore({ overlay, removed, lastId }: ReturnType<Fleet["state"]>): void {
    this.#overlay = new Map(overlay);
    this.#removed = new Set(removed);
    this.#lastId = lastId;
  }
}
