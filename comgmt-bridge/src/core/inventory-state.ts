import type { InventoryDiffers, RecordKind } from "@isthmus/shared/link/inventory-messages";

/**
 * What passes between those who read a source and the store, which knows of every record only the hashes of its facets: it compares,
 * and puts what differs into the stream in the transaction in which it notes the new hashes.
 */

/** A record as a source has it. */
export interface ReadRecord {
  readonly key: string;
  /** Facets by name, each as the text that `JSON.stringify` gives. A facet that was read and is not there is gone. */
  readonly facets: Readonly<Record<string, string>>;
}

/** Whose records, and under which lease they are told. */
interface Whose {
  readonly source: string;
  readonly kind: RecordKind;
  readonly lease: number;
  /** By our clock. */
  readonly at: number;
}

/** Part of a kind: numeric keys above `after` up to and including `through`; the whole kind where `range` is absent. */
export interface KeyBounds {
  readonly after: number;
  readonly through: number;
}

/** All records of a part of a kind, read whole: what is not among them was not there. */
export interface ReadRange extends Whose {
  readonly range: KeyBounds | undefined;
  /** The facets that were asked for; others stay as they are. */
  readonly facets: readonly string[];
  readonly records: readonly ReadRecord[];
  /** SHA-256 of the bytes that each table of the range came in, hex, to be passed over when they come again. */
  readonly pages: Readonly<Record<string, string>>;
}

/** Records that were read one by one, and those that the source itself says are gone. */
export interface ReadChanges extends Whose {
  readonly facets: readonly string[];
  readonly records: readonly ReadRecord[];
  readonly tombstones: readonly string[];
}

/** What became of a range or of changes. */
export interface Applied {
  /** Records that are new or differ. */
  readonly changed: number;
  /** Records that are missing from a range. */
  readonly missing: number;
}

/** How a scan of a whole kind ended: records that were missing in this and in the one before are deleted, unless they are too many. */
export interface ScanEnd {
  readonly deleted: number;
  /** Deletions that somebody on this host has to approve, since they are over the share that the guardrails allow. */
  readonly waiting: number;
}

/** Operations of the store, each a transaction; `store/inventory-operations.ts`. */
export interface InventoryState {
  /** Hashes of the pages of a range as it was last applied; empty for one that never was. */
  pagesOf(
    argument: Pick<Whose, "source" | "kind"> & { readonly range: KeyBounds | undefined },
  ): Readonly<Record<string, string>>;
  applyRange(argument: ReadRange): Applied;
  /** The range came in the very bytes of the last time: what was missing is missing once more. */
  passOverRange(argument: Whose & { readonly range: KeyBounds | undefined }): void;
  applyChanges(argument: ReadChanges): Applied;
  /** Only for a scan in which every range was read or passed over. */
  endScan(
    argument: Whose & { readonly beganAt: number; readonly maxDeletedShare: number },
  ): ScanEnd;
  /** Somebody ran `deletions approve`: what waits may go at the end of the next scan in which it is still missing. */
  approveDeletions(argument: {
    readonly source: string;
    readonly kind: RecordKind;
    readonly by: string;
    readonly at: number;
  }): number;
  /** Puts the digest of a kind into the stream; nothing before two complete scans. */
  tellDigest(argument: Whose): boolean;
  /** Lists buckets, forgets the hashes of wanted records and takes unknown ones as missing; returns the keys to read now. */
  takeDifferences(argument: InventoryDiffers & { readonly lease: number; readonly at: number }): {
    readonly toRead: readonly string[];
  };
  /** Takes a lease over, with the revision that the control plane has of the source. */
  takeLease(argument: {
    readonly source: string;
    readonly lease: number;
    readonly revision: number;
    readonly at: number;
  }): { readonly isNew: boolean };
  /** Entries of the stream that the control plane has not acknowledged. */
  backlog(argument: Record<string, never>): { readonly entries: number };
  /** What a source wrote down for its next run, by name; `store/source-cursors.ts`. */
  cursorOf(argument: { readonly source: string; readonly name: string }): string | undefined;
  keepCursor(argument: {
    readonly source: string;
    readonly name: string;
    readonly value: string;
  }): void;
}
