import { kernelMigrations, kernelOperations } from "@isthmus/shared/kernel/kernel-operations";
import { laneMigrations, laneOperations } from "@isthmus/shared/link/lane-operations";
import type { Migration, Operations } from "@isthmus/shared/store/transaction";
import { actionMigrations } from "./action-migrations.ts";
import { actionOperations } from "./action-operations.ts";
import { clientEventMigrations, clientEventOperations } from "./client-events.ts";
import { inventoryMigrations } from "./inventory-migrations.ts";
import { inventoryOperations } from "./inventory-operations.ts";
import { cursorMigrations, cursorOperations } from "./source-cursors.ts";

/** The bridge's store: what it knows of its sources, beside the kernel's and the link's part. Loaded by the store's worker. */

/** @public The store's worker reads it by the module's address. */
export const migrations: readonly Migration[] = [
  ...kernelMigrations,
  ...laneMigrations,
  ...inventoryMigrations,
  ...cursorMigrations,
  ...actionMigrations,
  ...clientEventMigrations,
];
/** @public The store's worker reads it by the module's address. */
export const operations = {
  ...kernelOperations,
  ...laneOperations,
  ...inventoryOperations,
  ...cursorOperations,
  ...actionOperations,
  ...clientEventOperations,
} satisfies Operations;

export type BridgeOperations = typeof operations;
