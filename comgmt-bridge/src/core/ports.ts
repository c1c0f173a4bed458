import type { RecordKind, SourceType } from "@isthmus/shared/link/inventory-messages";
import type { ClientEventSink } from "./client-events.ts";
import type { Applied, KeyBounds, Leaving, ReadRecord, ScanEnd } from "./inventory-state.ts";
import type { PackedRecords } from "./packed-records.ts";

/**
 * What every source of inventory is to the bridge: a site, a domain, a folder of inventory documents. Each reads its system in its own
 * way and hands over records; leases, back-pressure, the store and the link are not its business.
 */
export interface InventorySource {
  /** Unique among the bridge's sources and never changed: `CM1`, `corp.example`, `agents`. */
  readonly name: string;
  readonly type: SourceType;
  readonly kinds: readonly RecordKind[];
  /**
   * Reads until the signal aborts; called anew for each lease, one call at a time. Faults of the system that is read are the source's
   * own to wait out; what it throws is logged, and it is run again after a while.
   */
  run(sink: InventorySink, signal: AbortSignal): Promise<void>;
  /** Reads these records whole, now. A key without a record is one that the system does not have. */
  read(kind: RecordKind, keys: readonly string[], signal: AbortSignal): Promise<KeyedReading>;
  /** Reads what happened on these devices, now; absent where the system keeps no events. */
  readEvents?(keys: readonly string[], sink: ClientEventSink, signal: AbortSignal): Promise<void>;
}

export interface KeyedReading {
  /** The facets that were asked for. */
  readonly facets: readonly string[];
  readonly records: readonly ReadRecord[];
  /** See `ReadChanges.pages`. */
  readonly pages?: readonly string[];
  /** See `ReadChanges.areAllFacets`. */
  readonly areAllFacets?: boolean;
}

/** A part of a kind that was read whole; `ReadRange` without what the bridge knows itself. */
export interface RangeReading {
  readonly range: KeyBounds | undefined;
  readonly facets: readonly string[];
  readonly records: readonly ReadRecord[] | PackedRecords;
  /** See `ReadRange.areShallow`. */
  readonly areShallow?: boolean;
  readonly pages: Readonly<Record<string, string>>;
  /** See `ReadRange.before`. */
  readonly before?: Readonly<Record<string, string>>;
  /** See `ReadRange.areAllFacets`. */
  readonly areAllFacets?: boolean;
}

/** Where a source puts what it reads, under the lease of one `run`. All of it is durable once it resolves. */
export interface InventorySink {
  /**
   * Resolves when more may be read: at once, or when the control plane has taken enough of what was told. Asked before each range and
   * each round of changes. Throws the signal's reason.
   */
  ready(signal: AbortSignal): Promise<void>;
  pagesOf(
    kind: RecordKind,
    range: KeyBounds | undefined,
  ): Promise<Readonly<Record<string, string>>>;
  applyRange(kind: RecordKind, reading: RangeReading): Promise<Applied>;
  passOverRange(kind: RecordKind, range: KeyBounds | undefined): Promise<void>;
  /** `tombstones` are keys that the system itself says are gone. */
  applyChanges(
    kind: RecordKind,
    reading: KeyedReading,
    tombstones?: readonly string[],
  ): Promise<Applied>;
  /** See `InventoryState.leaving`. */
  leaving(kind: RecordKind, beganAt: number): Promise<Leaving>;
  /** Only after a scan in which every range was read or passed over; tells the digest, too. */
  endScan(kind: RecordKind, beganAt: number): Promise<ScanEnd>;
  /** What the source wrote down for its next run: a stamp, a DirSync cookie, how far a scan came. */
  cursor(name: string): Promise<string | undefined>;
  /** To be kept after what it speaks of was applied: what is read twice is found equal. */
  keepCursor(name: string, value: string): Promise<void>;
  /** What happens on clients is no inventory; undefined where nobody takes it. */
  readonly clientEvents?: ClientEventSink;
  /** How far the scan of a kind is, for people: records read, and how many there are expected to be where that is known. */
  progress(kind: RecordKind, read: number, expected: number | undefined): void;
}
