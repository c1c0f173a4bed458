import { kernelMigrations, kernelOperations } from "@isthmus/shared/kernel/kernel-operations";
import { laneMigrations, laneOperations } from "@isthmus/shared/link/lane-operations";
import type { Operations } from "@isthmus/shared/store/transaction";
import { deviceMigrations, deviceOperations } from "./device-operations.ts";
import { oneTimeMigrations, oneTimeOperations } from "./one-time-operations.ts";
import { relaySessionMigrations, relaySessionOperations } from "./relay-session-operations.ts";
import { revocationMigrations, revocationOperations } from "./revocation-operations.ts";
import { scoreMigrations, scoreOperations } from "./score-operations.ts";
import { vpnMigrations, vpnOperations } from "./vpn-operations.ts";

/**
 * The store module of a gateway, loaded by the worker that owns the database.
 *
 * @public
 */
export const migrations = [
  ...kernelMigrations,
  ...laneMigrations,
  ...deviceMigrations,
  ...revocationMigrations,
  ...vpnMigrations,
  ...oneTimeMigrations,
  ...scoreMigrations,
  ...relaySessionMigrations,
];

/** @public The store's worker reads it by the module's address. */
export const operations = {
  ...kernelOperations,
  ...laneOperations,
  ...deviceOperations,
  ...revocationOperations,
  ...vpnOperations,
  ...oneTimeOperations,
  ...scoreOperations,
  ...relaySessionOperations,
} satisfies Operations;

export type GatewayOperations = typeof operations;
