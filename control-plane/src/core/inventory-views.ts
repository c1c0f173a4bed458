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

/** A record of another source that is the same object, since both have its SID. */
export interface JoinedRecord {
  readonly id: number;
  readonly source: string;
  readonly sourceType: string;
  readonly kind: string;
  readonly key: string;
  readonly name: string | undefined;
}
