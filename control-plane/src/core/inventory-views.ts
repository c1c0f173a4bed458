import type { FieldDifference } from "./facet-differences.ts";

/** What is read of the inventory beyond lists. Times are ms since the epoch. */

/** A value that a facet has or had. */
export interface FacetValue {
  readonly facet: string;
  readonly revision: number;
  /** From when up to when; undefined where it has it still. */
  readonly at: number;
  readonly until: number | undefined;
  readonly hash: string;
  readonly value: unknown;
}

/** How a record differs between two moments. */
export interface RecordDifferences {
  readonly fields: readonly FieldDifference[];
  readonly isCut: boolean;
}

/** A record with the facets that were asked for. */
export interface ExportedRecord {
  readonly id: number;
  readonly source: string;
  readonly kind: string;
  readonly key: string;
  readonly name: string | undefined;
  readonly changedAt: number;
  readonly facets: Readonly<Record<string, unknown>>;
}

/** A system that is read, and how it stands with it. */
export interface SourceView {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly lease: number;
  /** Who reads it or did last; `isHeld` says whether that is so now. */
  readonly connectorId: string | undefined;
  readonly connectorName: string | undefined;
  readonly isConnected: boolean;
  readonly isHeld: boolean;
  readonly leaseUntil: number | undefined;
  readonly revision: number;
  readonly lastEntryAt: number | undefined;
  readonly passedOver: number;
  readonly refused: number;
  /** Records that are there, by kind. */
  readonly counts: Readonly<Record<string, number>>;
  readonly lastEvent: SourceEventView | undefined;
}

export interface SourceEventView {
  readonly id: number;
  readonly at: number;
  readonly recordedAt: number;
  readonly side: "bridge" | "cloud";
  readonly event: string;
  readonly kind: string | undefined;
  readonly message: string;
  readonly figures: Readonly<Record<string, number>> | undefined;
}

/** A record of another source that is the same object, since both have its SID. */
export interface JoinedRecord {
  readonly id: number;
  readonly source: string;
  readonly sourceType: string;
  readonly kind: string;
  readonly key: string;
  readonly name: string | undefined;
}
