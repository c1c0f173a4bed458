import type { InventoryDiffers } from "@isthmus/shared/link/inventory-messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { BucketRows } from "./inventory-drift.ts";

/** The transaction that a batch is taken in, and what it came to. */
export interface IngestContext {
  readonly transaction: Transaction;
  readonly connectorId: string;
  readonly service: string;
  readonly epoch: number;
  readonly now: number;
  /** Of the line of the present entry. */
  entryOctets: number;
  readonly endedCommands: string[];
  newCommands: number;
  /** Actions at sites of which something new is known. */
  readonly changedActions: Set<string>;
  /** What is to be asked of the bridge once the batch is stored. */
  readonly differences: InventoryDiffers[];
  /** What was read of the inventory for entries that compare. */
  readonly bucketRows: BucketRows;
  /** Keeps bytes of a part of the present entry that could not be taken, where the rest was. */
  readonly keepDeadLetter: (code: string, bytes: Uint8Array) => void;
}
