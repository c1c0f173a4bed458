import type { Collections } from "./collections.ts";
import { type DeviceChange, FIRST_RESOURCE_ID } from "./device.ts";
import type { Fleet } from "./fleet.ts";
import type { Operations } from "./operations.ts";
import { mix, share } from "./random-values.ts";
import type { ChangeScript } from "./site-options.ts";

/** Something that happens in the fleet. */
export type Change =
  | { readonly kind: "heartbeat" | "inventory" | "remove"; readonly resourceId: number }
  | { readonly kind: "rename"; readonly resourceId: number; readonly name: string }
  | { readonly kind: "online"; readonly resourceId: number; readonly isOnline: boolean }
  | { readonly kind: "add"; readonly change?: DeviceChange }
  /** Anything else of a device; `columns` sets single values of a class. */
  | { readonly kind: "device"; readonly resourceId: number; readonly change: DeviceChange }
  | {
      readonly kind: "collection";
      readonly id: string;
      readonly name: string;
      readonly members: readonly number[];
    };

/** One that was made, in order. */
export interface MadeChange {
  readonly at: number;
  /** `restore`: a restored backup has a device that was gone, or has none of one that there was. */
  readonly kind: Change["kind"] | "restore";
  readonly resourceId: number | undefined;
}

const KEPT_CHANGES = 100_000;

/** Changes that tests ask for and those of the script. */
export class Changes {
  readonly made: MadeChange[] = [];
  readonly #fleet: Fleet;
  readonly #collections: Collections;
  readonly #operations: Operations;
  readonly #now: () => number;
  readonly #script: ChangeScript | undefined;
  readonly #startedAt: number;
  #count = 0;

  constructor(of: {
    readonly fleet: Fleet;
    readonly collections: Collections;
    readonly operations: Operations;
    readonly now: () => number;
    readonly script: ChangeScript | undefined;
  }) {
    this.#fleet = of.fleet;
    this.#collections = of.collections;
    this.#operations = of.operations;
    this.#now = of.now;
    this.#script = of.script;
    this.#startedAt = of.now();
  }

  /** Returns the ResourceID it is about. */
  make(change: Change): number | undefined {
    const resourceId = this.#apply(change);
    this.made.push({ at: this.#now(), kind: change.kind, resourceId });
    if (this.made.length > KEPT_CHANGES) this.made.shift();
    this.#collections.recount();
    return resourceId;
  }

  /** Devices that came and went with a restored backup. */
  restored(resourceIds: Iterable<number>): void {
    for (const resourceId of resourceIds) {
      this.made.push({ at: this.#now(), kind: "restore", resourceId });
    }
  }

  /** What the script has due by now. */
  catchUp(): void {
    if (this.#script === undefined) return;
    const elapsed = Math.max(0, this.#now() - this.#startedAt);
    const due = Math.floor((elapsed / 1_000) * this.#script.changesPerSecond);
    for (; this.#count < due; this.#count += 1) this.make(this.#scripted(this.#script));
  }

  #apply(change: Change): number | undefined {
    switch (change.kind) {
      case "add":
        return this.#fleet.add(change.change ?? {});
      case "collection":
        this.#collections.define(change);
        return undefined;
      case "remove":
        this.#fleet.remove(change.resourceId);
        return change.resourceId;
      default:
        this.#fleet.change(change.resourceId, this.#overlay(change));
        if (change.kind === "online" && change.isOnline)
          this.#operations.comesOnline(change.resourceId);
        return change.resourceId;
    }
  }

  #overlay(
    change: Exclude<Change, { readonly kind: "add" | "collection" } | { readonly kind: "remove" }>,
  ): DeviceChange {
    const now = this.#now();
    switch (change.kind) {
      case "rename":
        return { name: change.name, lastHeartbeat: now };
      case "online":
        return { isOnline: change.isOnline, lastHeartbeat: now };
      case "device":
        return change.change;
      case "inventory": {
        const { scans = 0 } = this.#fleet.overlayOf(change.resourceId);
        return { scans: scans + 1, lastHardwareScan: now, lastHeartbeat: now };
      }
      default:
        return { lastHeartbeat: now };
    }
  }

  #scripted({ weights, seed = 1 }: ChangeScript): Change {
    const count = this.#count;
    const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    let roll = share(mix(seed, count)) * total;
    const kind =
      Object.entries(weights).find(([, weight]) => {
        roll -= weight;
        return roll < 0;
      })?.[0] ?? "heartbeat";
    const span = this.#fleet.lastId - FIRST_RESOURCE_ID + 1;
    let resourceId = FIRST_RESOURCE_ID + (mix(seed + 1, count) % span);
    while (this.#fleet.device(resourceId) === undefined && resourceId < this.#fleet.lastId)
      resourceId += 1;
    const isOnline = mix(seed + 2, count) % 2 === 0;
    return changeOf(kind, resourceId, isOnline, count);
  }
}

function changeOf(kind: string, resourceId: number, isOnline: boolean, count: number): Change {
  switch (kind) {
    case "rename":
      return { kind, resourceId, name: `RENAMED-${count}` };
    case "add":
      return { kind };
    case "online":
      return { kind, resourceId, isOnline };
    case "inventory":
    case "remove":
      return { kind, resourceId };
    default:
      return { kind: "heartbeat", resourceId };
  }
}
