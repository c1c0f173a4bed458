import type { InventoryDiffers, RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { PackedRecords } from "./packed-records.ts";

/**
 * What passes between those who read a source and the store, which knows of every record only the hashes of its facets: it compares,
 * and puts what differs into the stream in the transaction in which it notes the new hashes.
 */

/**
 * A record as a source has it. One that the wire cannot carry (a key or facet name of another form) is passed over, a facet that is too
 * large or nested too deep is left out; an event in the stream says so once, and all the rest goes on.
 */
export interface ReadRecord {
  readonly key: string;
  /**
   * Facets by name, each as the text that `JSON.stringify` gives. A facet that was read and is not there, or is `null`, is gone; one of
   * an inventory class (`SMS_G_System_...`) only when it is absent from two readings, since a page of a class may come short. The facet
   * `volatile` is in no digest, so that nothing would show that its going was missed: a kind's records have it always or never.
   */
  readonly facets: Readonly<Record<string, string>>;
}

/** Whose records, and under which lease they are told. Another lease than the one last taken is refused: `lease-not-held`. */
interface Whose {
  readonly source: string;
  readonly kind: RecordKind;
  readonly lease: number;
  /** By our clock. */
  readonly at: number;
}

/**
 * Part of a kind: numeric keys above `after` up to and including `through`; the whole kind where `range` is absent. The ranges of a scan
 * have to cover all keys there may be, up to `Number.MAX_SAFE_INTEGER`: a record outside of them is never found missing.
 */
export interface KeyBounds {
  readonly after: number;
  readonly through: number;
}

/** All records of a part of a kind, read whole: what is not among them was not there. */
export interface ReadRange extends Whose {
  readonly range: KeyBounds | undefined;
  /** The facets that were asked for; others stay as they are. */
  readonly facets: readonly string[];
  /** Whether `facets` are all that is read of the kind: those that a record had besides are gone. */
  readonly areAllFacets?: boolean;
  readonly records: readonly ReadRecord[] | PackedRecords;
  /** Whether no facet can be nested too deep for the wire: then nobody looks. */
  readonly areShallow?: boolean;
  /** A hash of the bytes that each table of the range came in, to be passed over when they come again. */
  readonly pages: Readonly<Record<string, string>>;
  /**
   * What `pagesOf` gave before the range was read. A page that is the same in both was not looked into: if a change has had it forgotten
   * meanwhile, it stays forgotten.
   */
  readonly before?: Readonly<Record<string, string>>;
}

/** Records that were read one by one, and those that the source itself says are gone. */
export interface ReadChanges extends Whose {
  readonly facets: readonly string[];
  /** As in a range. What the control plane wanted is told as a whole record only by a reading that covers all facets known of it. */
  readonly areAllFacets?: boolean;
  readonly records: readonly ReadRecord[];
  readonly tombstones: readonly string[];
  /**
   * The pages of a range that these facets come from: their hashes become `""` where a record changed, so that the same bytes as before
   * are new again. None for what moves all the time and is told by changes alone; all pages are forgotten where it is absent.
   */
  readonly pages?: readonly string[];
}

/** What became of a range or of changes. */
export interface Applied {
  /** Records that are new or differ. */
  readonly changed: number;
  /** Records that are missing from a range. */
  readonly missing: number;
}

/** A scan of a kind that has come to its end, and what may be deleted by it. */
export interface EndedScan extends Whose {
  readonly beganAt: number;
  /** 0 to 1: `deletions.maxShare` of the guardrails. */
  readonly maxDeletedShare: number;
  /** So many may go whatever their share: `deletions.minimum` of the guardrails. */
  readonly minDeleted: number;
}

/** What a complete scan is about to delete, to be looked for once more by key. */
export interface Leaving {
  readonly keys: readonly string[];
  /** Records that are there, with the keys nearest to those: whoever cannot see these says nothing of the others. */
  readonly neighbours: readonly string[];
}

/** How a scan of a whole kind ended: records that were missing in this and in the one before are deleted, unless they are too many. */
export interface ScanEnd {
  readonly deleted: number;
  /** Deletions that somebody on this host has to approve, since they are over the share that the guardrails allow. */
  readonly waiting: number;
}

/** What the store knows of a kind of a source. */
export interface SourceFigures {
  readonly source: string;
  readonly kind: RecordKind;
  /** The lease last taken, and the revision of the last change that was told. */
  readonly lease: number;
  readonly revision: number;
  readonly records: number;
  /** Of them, those not found when their part was last read. */
  readonly missing: number;
  /** Records that the control plane has and no scan has found yet. */
  readonly unknown: number;
  /** Deletions that wait for an approval, and those that have it and wait for the next scan. */
  readonly waiting: number;
  readonly approved: number;
  /** Since this state was made or restored. */
  readonly completeScans: number;
  readonly lastScan: { readonly beganAt: number; readonly endedAt: number } | undefined;
  readonly lastDigestAt: number | undefined;
  /** Records and facets that the wire cannot carry. */
  readonly refused: number;
}

/** A deletion that waits for an approval or, where `approvedBy` is there, for the next complete scan. */
export interface WaitingDeletion {
  readonly key: string;
  /** When it was last found missing. */
  readonly missedAt: number;
  /** Since when it waits; undefined where that was not kept. */
  readonly since: number | undefined;
  readonly approvedBy: string | undefined;
}

/** Operations of the store, each a transaction; `store/inventory-operations.ts`. */
export interface InventoryState {
  /** Hashes of the pages of a range as it was last applied; empty where it has to be read anew. */
  pagesOf(
    argument: Pick<Whose, "source" | "kind"> & { readonly range: KeyBounds | undefined },
  ): Readonly<Record<string, string>>;
  /** Tells what is new or differs; what the state has in the range and the reading has not is missing. */
  applyRange(argument: ReadRange): Applied;
  /** The range came in the very bytes of the last time (`pagesOf`): what was missing is missing once more. */
  passOverRange(argument: Whose & { readonly range: KeyBounds | undefined }): void;
  /** Tells what is new or differs, and deletes at once what has a tombstone; a record that is not among them is not missing. */
  applyChanges(argument: ReadChanges): Applied;
  /**
   * Only for a scan in which every range was read or passed over, whether in one go or taken up again after an interruption. Counted once:
   * a second call for the same `beganAt` does nothing. Tells an event `scan.ended`.
   *
   * Records that were missing throughout this scan and the last complete one are deleted, all or none: if they are more than `minDeleted` and more
   * than `maxDeletedShare` of the kind, they wait, and those go that were approved before.
   */
  endScan(argument: EndedScan): ScanEnd;
  /** What `endScan` would delete now without anybody's approval: the first of them, in the order of their keys. */
  leaving(argument: EndedScan): Leaving;
  /** Somebody ran `deletions approve`: what waits may go at the end of the next scan in which it is still missing. Audited. */
  approveDeletions(argument: {
    readonly source: string;
    readonly kind: RecordKind;
    readonly by: string;
    readonly at: number;
  }): number;
  /** The first `limit` deletions that wait, in the order of their keys. */
  waitingDeletions(argument: {
    readonly source: string;
    readonly kind: RecordKind;
    readonly limit: number;
  }): readonly WaitingDeletion[];
  /** Puts the digest of a kind into the stream, as the state is now; false before two complete scans. */
  tellDigest(argument: Whose): boolean;
  /**
   * Lists buckets, forgets that wanted records were told and takes unknown ones as missing; returns the keys to read now. A wanted record is told
   * with all it has by the next reading that covers it, and `isWhole`. An unknown one that no scan finds is deleted by the ordinary rule, with
   * evidence `repair`.
   */
  takeDifferences(argument: InventoryDiffers & { readonly lease: number; readonly at: number }): {
    readonly toRead: readonly string[];
  };
  /**
   * Takes a lease over, with the revision that the control plane has of the source: what is told from now on has a higher one. `isNew` where it is
   * another lease than the one before; then a digest is due, since entries of the old lease may have been passed over.
   */
  takeLease(argument: {
    readonly source: string;
    readonly lease: number;
    readonly revision: number;
    readonly at: number;
  }): { readonly isNew: boolean };
  /** Puts an event of the source into the stream. */
  note(argument: {
    readonly source: string;
    readonly lease: number;
    readonly at: number;
    /** `scan.began`: lower case, at most 64 characters. */
    readonly event: string;
    /** Cut to what the wire carries. */
    readonly message: string;
    readonly kind?: RecordKind;
    readonly figures?: Readonly<Record<string, number>>;
  }): void;
  /** Of every source and kind that was ever read; for health, status and the command line. */
  sourceFigures(argument: Record<string, never>): readonly SourceFigures[];
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
