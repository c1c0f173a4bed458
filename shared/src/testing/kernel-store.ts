import { kernelMigrations, kernelOperations } from "../kernel/kernel-operations.ts";
import { laneMigrations, laneOperations } from "../link/lane-operations.ts";

/**
 * The smallest store module of a connector: nothing but the kernel's and the lanes' part.
 *
 * @public
 */
export const migrations = [...kernelMigrations, ...laneMigrations];
/** @public The store's worker reads it by the module's address. */
export const operations = { ...kernelOperations, ...laneOperations };

export type KernelStoreOperations = typeof operations;
