/** What the gateway knows of a device, from the cloud or from the local list. */
export interface Device {
  readonly deviceId: string;
  readonly userPrincipalName?: string | undefined;
  readonly groups: readonly string[];
  readonly compliance: "compliant" | "noncompliant" | "unknown";
  /** Why it is not compliant, in words for its user. */
  readonly reason?: string | undefined;
  readonly removed: boolean;
}

/** The devices in memory, found by id and by user. */
export class DeviceDirectory {
  readonly #byId = new Map<string, Device>();
  readonly #byUser = new Map<string, Set<string>>();

  get size(): number {
    return this.#byId.size;
  }

  /** The device with this id; removed ones too, so that a refusal can say so. */
  find(deviceId: string): Device | undefined {
    return this.#byId.get(deviceId);
  }

  /** Every device of a user, found without regard to case as directories do. */
  ofUser(userPrincipalName: string): Device[] {
    const ids = this.#byUser.get(userPrincipalName.toLowerCase()) ?? [];
    return [...ids].map((id) => this.#byId.get(id)).filter((device) => device !== undefined);
  }

  /** All devices, in the order in which they became known. */
  all(): Iterable<Device> {
    return this.#byId.values();
  }

  put(device: Device): void {
    this.#unlink(device.deviceId);
    this.#byId.set(device.deviceId, device);
    if (device.userPrincipalName === undefined) return;
    const user = device.userPrincipalName.toLowerCase();
    const ids = this.#byUser.get(user) ?? new Set();
    this.#byUser.set(user, ids.add(device.deviceId));
  }

  forget(deviceId: string): void {
    this.#unlink(deviceId);
    this.#byId.delete(deviceId);
  }

  /** Forgets everything and holds `devices` alone. */
  replace(devices: Iterable<Device>): void {
    this.#byId.clear();
    this.#byUser.clear();
    for (const device of devices) this.put(device);
  }

  #unlink(deviceId: string): void {
    const user = this.#byId.get(deviceId)?.userPrincipalName?.toLowerCase();
    if (user === undefined) return;
    const ids = this.#byUser.get(user);
    ids?.delete(deviceId);
    if (ids?.size === 0) this.#byUser.delete(user);
  }
}
