import { kernelMigrations, kernelOperations } from "@isthmus/shared/kernel/kernel-operations";
import { laneMigrations, laneOperations } from "@isthmus/shared/link/lane-operations";
import type { Operations } from "@isthmus/shared/store/transaction";
import { deviceMigrations, deviceOperations } from "./device-operations.ts";
import { revocationMigrations, revocationOperations } from "./revocation-operations.ts";

/** The store module of a gateway, loaded by the worker that owns the database. */
export const migrations = [
  ...kernelMigrations,
  ...laneMigrations,
  ...deviceMigrations,
  ...revocationMigrations,
];

export const operations = {
  ...kernelOperations,
  ...laneOperations,
  ...deviceOperations,
  ...revocationOperations,
} satisfies Operations;

export type GatewayOperations = typeof operations;
