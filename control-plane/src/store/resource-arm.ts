import type { SqlValue } from "@isthmus/shared/store/transaction";
import type { RawBuilder } from "kysely";

export type ResourceSelect = RawBuilder<Readonly<Record<string, SqlValue>>> | RawBuilder<unknown>;

/** One of several places that rows of a resource come from: pages are taken from each and merged. */
export interface ResourceArm {
  readonly select: ResourceSelect;
  /**
   * A column with the number of an inventory record of which `id` is the GUID: it sorts as the id does and has an index, which the id made
   * of it has not.
   */
  readonly recordNumber?: string;
}
