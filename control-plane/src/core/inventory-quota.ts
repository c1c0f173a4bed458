/** How much of a source is kept at most. Over it nothing more is stored of the source until there is room again. */
export interface InventoryQuota {
  /** Records, those that are gone and still have a history among them. */
  readonly records: number;
  /** Octets of what records have and had, of the timelines of devices, and of what happened to the source. */
  readonly octets: number;
}

/** A million devices with their users and collections, ten kilobytes each, stay below with as much history again. */
export const DEFAULT_QUOTA: InventoryQuota = { records: 3_000_000, octets: 20_000_000_000 };

/**
 * What a record's row takes beside its values, with its columns and its places in indexes, and what a membership takes beside its key, about. Both
 * the count and the estimate take them, so that nothing that a bridge makes up is free.
 */
export const RECORD_OCTETS = 600;
export const MEMBERSHIP_OCTETS = 32;
/** What a row of a history or a timeline takes beside its values, about: no number of empty ones is free. */
export const ROW_OCTETS = 100;

/** Of every source, and of those that have limits of their own, by their names. */
export interface InventoryQuotas {
  readonly default: InventoryQuota;
  readonly sources: Readonly<Record<string, InventoryQuota>>;
}

/** What was counted of the sources, all of it between two moments. */
export interface CountedUsage {
  readonly sourceId: number;
  readonly records: number;
  readonly octets: number;
  /** What had been added, by estimate, when the counting began: it is in the count. */
  readonly addedRecords: number;
  readonly addedOctets: number;
}
