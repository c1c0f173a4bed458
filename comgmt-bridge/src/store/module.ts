import { kernelMigrations, kernelOperations } from "@isthmus/shared/kernel/kernel-operations";
import { laneMigrations, laneOperations } from "@isthmus/shared/link/lane-operations";
import type { Migration, Operations } from "@isthmus/shared/store/transaction";
import { cursorMigrations, cursorOperations } from "./source-cursors.ts";

/** The bridge's store: nothing of its own as long as there is no site to read. Loaded by the store's worker. */

/** @public The store's worker reads it by the module's address. */
export const migrations: readonly Migration[] = [
  ...kernelMigrations,
  ...laneMigrations,
  ...cursorMigrations,
];
/** @public The store's worker reads it by the module's address. */
export const operations = {
  ...kernelOperations,
  ...laneOperations,
  ...cursorOperations,
} satisfies Operations;

export type BridgeOperations = typeof operations;
