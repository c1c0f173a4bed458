import { kernelMigrations, kernelOperations } from "../kernel/kernel-operations.ts";
import { laneMigrations, laneOperations } from "../link/lane-operations.ts";

/** The smallest store module of a connector: nothing but the kernel's and the lanes' part. */
export const migrations = [...kernelMigrations, ...laneMigrations];
export const operations = { ...kernelOperations, ...laneOperations };

export type KernelStoreOperations = typeof operations;
