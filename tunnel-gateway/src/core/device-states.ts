import type { Clock } from "@isthmus/shared/clock";
import { type Device, DeviceDirectory } from "./device.ts";
import type { DeviceFreshness } from "./gate.ts";
import type {
  DeviceChanges,
  DeviceSource,
  DeviceStore,
  DeviceUpdate,
  RefusedUpdate,
} from "./ports.ts";

/** The link to the cloud, as far as it says whether device states are current. */
export interface CloudContact {
  readonly connected: boolean;
  readonly lastContactAt: number | undefined;
}

const NOTHING_KNOWN: DeviceSource = {
  version: 0,
  confirmedAt: undefined,
  refusedVersion: undefined,
};

/**
 * The device states in force: those of the cloud, kept in the store and confirmed by every contact, or those of a list.
 * An update that a guardrail refused is remembered: from then on contact confirms nothing, the states age, and the grace
 * is the time in which a person has to settle it.
 */
export class DeviceStates {
  readonly #store: DeviceStore;
  readonly #clock: Clock;
  readonly #contact: () => CloudContact;
  readonly #ofCloud = new DeviceDirectory();
  #ofList: DeviceDirectory | undefined;
  #source = NOTHING_KNOWN;

  constructor(options: {
    readonly store: DeviceStore;
    readonly clock: Clock;
    readonly contact: () => CloudContact;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#contact = options.contact;
  }

  /** Takes up what the store kept. */
  async load(): Promise<void> {
    const { source, devices } = await this.#store.load();
    this.#source = source;
    this.#ofCloud.replace(devices);
  }

  /** The devices that count. */
  get directory(): DeviceDirectory {
    return this.#ofList ?? this.#ofCloud;
  }

  /** The devices that the cloud sent, whether or not they count. */
  get ofCloud(): DeviceDirectory {
    return this.#ofCloud;
  }

  get source(): DeviceSource {
    return this.#source;
  }

  /** How current the devices that count are. */
  freshness(): DeviceFreshness {
    return this.#ofList
      ? { source: "list" }
      : { source: "cloud", confirmedAt: this.#confirmedAt() };
  }

  /** Puts a list in force in place of the cloud's states. */
  useList(devices: readonly Device[]): void {
    const directory = new DeviceDirectory();
    directory.replace(devices);
    this.#ofList = directory;
  }

  /** Puts the cloud's states in force. */
  useCloud(): void {
    this.#ofList = undefined;
  }

  /**
   * The devices that an update speaks of as they would be after it, and whose connections it may touch: every device's
   * after a snapshot.
   */
  preview(update: DeviceUpdate): {
    readonly devices: DeviceDirectory;
    readonly touched: readonly string[] | "all";
  } {
    const devices = new DeviceDirectory();
    devices.replace(update.devices);
    // A list in force hides the cloud's states, so nothing is touched.
    const named = this.#ofList ? [] : update.devices.map((device) => device.deviceId);
    return { devices, touched: update.isSnapshot && !this.#ofList ? "all" : named };
  }

  /** Stores an update, then puts it in force. */
  async apply(update: DeviceUpdate): Promise<DeviceChanges> {
    const at = this.#clock.now();
    const changes = await this.#store.update(update, at);
    if (!changes.isApplied) return changes;
    for (const device of changes.changed) this.#ofCloud.put(device);
    for (const deviceId of changes.forgotten) this.#ofCloud.forget(deviceId);
    const { refusedVersion, confirmedAt } = this.#source;
    const version = Math.max(this.#source.version, update.version);
    this.#source = makesGood(update, refusedVersion)
      ? { version, confirmedAt: at, refusedVersion: undefined }
      : { version, confirmedAt, refusedVersion };
    return changes;
  }

  /** Notes that a guardrail refused an update. */
  async noteRefused(refused: RefusedUpdate): Promise<void> {
    const confirmedAt = this.#confirmedAt();
    const refusedVersion = Math.max(this.#source.refusedVersion ?? 0, refused.version);
    this.#source = { ...this.#source, confirmedAt, refusedVersion };
    await this.#store.noteRefused(refused, this.#clock.now());
  }

  /** Keeps the time of the last contact, so that a restart without the cloud does not begin with states of unknown age. */
  async noteContact(): Promise<void> {
    const confirmedAt = this.#confirmedAt();
    if (confirmedAt === undefined || this.#source.refusedVersion !== undefined) return;
    await this.#store.noteContact(confirmedAt);
  }

  #confirmedAt(): number | undefined {
    const { confirmedAt, refusedVersion, version } = this.#source;
    if (refusedVersion !== undefined || version === 0) return confirmedAt;
    const { connected, lastContactAt } = this.#contact();
    const contactAt = connected ? this.#clock.now() : lastContactAt;
    return contactAt === undefined ? confirmedAt : Math.max(contactAt, confirmedAt ?? 0);
  }
}

/** Whether an update brings what the refused one would have: the same one, or everything there is at a later time. */
export function makesGood(update: DeviceUpdate, refusedVersion: number | undefined): boolean {
  if (refusedVersion === undefined) return true;
  return (
    update.version === refusedVersion || (update.isSnapshot && update.version > refusedVersion)
  );
}
