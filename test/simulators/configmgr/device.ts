import type { DeviceEvent } from "./client-events.ts";
import type { FleetOptions } from "./fleet.ts";
import { guidOf, hex8, mix, pick, share } from "./random-values.ts";

export const FIRST_RESOURCE_ID = 16_777_216;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const MODELS = [
  ["Dell Inc.", "Latitude 5440"],
  ["Dell Inc.", "OptiPlex 7010"],
  ["LENOVO", "21HES0AB00"],
  ["LENOVO", "20Y7S1XY0M"],
  ["HP", "HP EliteBook 840 14 inch G10 Notebook PC"],
  ["HP", "HP Z2 Tower G9 Workstation Desktop PC"],
  ["Microsoft Corporation", "Surface Laptop 5"],
  ["VMware, Inc.", "VMware20,1"],
] as const;
const SYSTEMS = [
  ["Microsoft Windows 11 Enterprise", "10.0.22631", "Microsoft Windows NT Workstation 10.0", "WKS"],
  ["Microsoft Windows 11 Enterprise", "10.0.26100", "Microsoft Windows NT Workstation 10.0", "WKS"],
  ["Microsoft Windows 10 Enterprise", "10.0.19045", "Microsoft Windows NT Workstation 10.0", "WKS"],
  [
    "Microsoft Windows Server 2022 Standard",
    "10.0.20348",
    "Microsoft Windows NT Server 10.0",
    "SRV",
  ],
] as const;
const SITES = ["Berlin", "Dublin", "Lyon", "Oslo", "Porto", "Turin", "Vienna", "Zagreb"] as const;

/** What became of a device since the site began; each member takes the place of what the seed says. */
export interface DeviceChange {
  readonly name?: string;
  readonly isOnline?: boolean;
  readonly lastHeartbeat?: number;
  readonly lastHardwareScan?: number;
  /** Inventory reports beyond those the seed and the clock tell. */
  readonly scans?: number;
  readonly createdAt?: number;
  readonly primaryUser?: string;
  readonly coManagement?: { readonly mdmEnrolled: boolean; readonly policyPresent: boolean };
  readonly health?: { readonly isActive?: boolean; readonly isPassed?: boolean };
  readonly extensionData?: Readonly<Record<string, string>>;
  /** Values of single columns, `{"SMS_R_System": {"Model": "x"}}`. */
  readonly columns?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What happened on it, besides what the seed says. */
  readonly events?: readonly DeviceEvent[];
  /** Explicit collections, besides those whose rule it meets. */
  readonly collections?: readonly string[];
}

/** One device as of a moment; every value is computed when it is asked for. */
export class Device {
  readonly id: number;
  readonly change: DeviceChange | undefined;
  readonly options: FleetOptions;
  readonly #now: number;

  constructor(id: number, options: FleetOptions, change: DeviceChange | undefined, now: number) {
    this.id = id;
    this.options = options;
    this.change = change;
    this.#now = now;
  }

  /** 32 bits that only this device has for `purpose`. */
  bits(purpose: number): number {
    return mix(this.options.seed * 1_000 + purpose, this.id);
  }

  get system(): (typeof SYSTEMS)[number] {
    const roll = this.bits(1) % 100;
    return SYSTEMS[roll < 45 ? 0 : roll < 65 ? 1 : roll < 93 ? 2 : 3] ?? SYSTEMS[0];
  }
  get location(): string {
    return pick(SITES, this.bits(2));
  }
  get name(): string {
    return (
      this.change?.name ??
      `${this.system[3]}-${this.bits(3) % 1_000}-${this.id - FIRST_RESOURCE_ID}`
    );
  }
  get smsId(): string {
    return `GUID:${guidOf(this.options.seed + 11, this.id)}`;
  }
  get entraDeviceId(): string {
    return guidOf(this.options.seed + 21, this.id).toLowerCase();
  }
  get smbiosGuid(): string {
    return guidOf(this.options.seed + 31, this.id);
  }
  get manufacturer(): string {
    return pick(MODELS, this.bits(4))[0];
  }
  get model(): string {
    return pick(MODELS, this.bits(4))[1];
  }
  get serialNumber(): string {
    return hex8(this.bits(5)).toUpperCase();
  }
  /** Patches move the last part: it counts inventory reports. */
  build(revision: number): string {
    return `${this.system[1]}.${(this.bits(6) % 4_000) + revision}`;
  }
  get macAddress(): string {
    const tail = hex8(this.bits(7)).toUpperCase();
    return `00:15:${tail.slice(0, 2)}:${tail.slice(2, 4)}:${tail.slice(4, 6)}:${tail.slice(6)}`;
  }
  get ipAddress(): string {
    const bits = this.bits(8);
    return `10.${this.bits(2) % SITES.length}.${(bits >>> 8) & 255}.${bits & 255}`;
  }
  get subnet(): string {
    return `10.${this.bits(2) % SITES.length}.${(this.bits(8) >>> 8) & 255}.0`;
  }
  /** `CORP\\u12`, of the site's users. */
  get primaryUser(): string {
    return this.change?.primaryUser ?? `u${this.bits(9) % 50_000}`;
  }
  get memoryKilobytes(): number {
    return 8_388_608 << (this.bits(10) % 3);
  }

  get isOnline(): boolean {
    return this.change?.isOnline ?? share(this.bits(12)) < this.options.onlineShare;
  }
  get createdAt(): number {
    return this.change?.createdAt ?? this.options.since - DAY_MS - (this.bits(13) % 1_000) * DAY_MS;
  }
  get lastHeartbeat(): number {
    const natural = this.#lastOf(this.options.natural.heartbeatEveryMs, 14, DAY_MS);
    return Math.max(natural, this.change?.lastHeartbeat ?? 0);
  }
  get lastHardwareScan(): number {
    const natural = this.#lastOf(this.options.natural.inventoryEveryMs, 15, 7 * DAY_MS);
    return Math.max(natural, this.change?.lastHardwareScan ?? 0);
  }
  /** How many inventory reports the site has had; at least 1. */
  get inventoryRevision(): number {
    const every = this.options.natural.inventoryEveryMs;
    const elapsed = this.#lastOf(every, 15, 7 * DAY_MS) - this.#firstOf(every, 15, 7 * DAY_MS);
    const natural = every === undefined ? 0 : Math.round(elapsed / every);
    return 1 + (this.bits(16) % 3) + natural + (this.change?.scans ?? 0);
  }
  /** Client activity and client check, as the site sums them up. */
  get health() {
    const roll = this.bits(18) % 100;
    const isActive = this.change?.health?.isActive ?? roll >= 4;
    return { isActive, isPassed: this.change?.health?.isPassed ?? roll % 10 > 0 };
  }
  get coManagement() {
    const roll = this.bits(17) % 100;
    return this.change?.coManagement ?? { mdmEnrolled: roll < 60, policyPresent: roll < 55 };
  }

  /** The last moment of a period, each device at a time of its own. */
  #lastOf(everyMs: number | undefined, purpose: number, defaultMs: number): number {
    const first = this.#firstOf(everyMs, purpose, defaultMs);
    if (everyMs === undefined) return first;
    return first + Math.max(0, Math.floor((this.#now - first) / everyMs)) * everyMs;
  }

  #firstOf(everyMs: number | undefined, purpose: number, defaultMs: number): number {
    const before =
      this.options.since - Math.floor(share(this.bits(purpose)) * (everyMs ?? defaultMs));
    return before - (before % 1_000);
  }
}
