import { kernelMigrations, kernelOperations } from "../kernel/kernel-operations.ts";

/** The smallest store module of a connector: nothing but the kernel's part. */
export const migrations = kernelMigrations;
export const operations = kernelOperations;
