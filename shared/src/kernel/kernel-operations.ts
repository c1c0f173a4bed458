import type { Migration, Operations } from "../store/transaction.ts";
import {
  auditEntryAt,
  auditHead,
  auditMigrations,
  auditPage,
  auditReceipts,
  eraseAuditPayloads,
  recordAudit,
  storeAuditReceipt,
} from "./audit-operations.ts";
import {
  configurationMigrations,
  keepConfiguration,
  keptConfiguration,
} from "./configuration-operations.ts";
import { consumeLimit, limitMigrations } from "./limit-operations.ts";
import { trimStandaloneStreams } from "./standalone-streams.ts";

/** The kernel's part of every service's store module: `[...kernelMigrations, ...laneMigrations, ...own]`. */
export const kernelMigrations: readonly Migration[] = [
  ...auditMigrations,
  ...limitMigrations,
  ...configurationMigrations,
];

/** The kernel's part of every service's operations: `{ ...kernelOperations, ...laneOperations, ...own }`. */
export const kernelOperations = {
  recordAudit,
  auditHead,
  auditEntryAt,
  auditPage,
  auditReceipts,
  storeAuditReceipt,
  eraseAuditPayloads,
  consumeLimit,
  keepConfiguration,
  keptConfiguration,
  trimStandaloneStreams,
} satisfies Operations;

export type KernelOperations = typeof kernelOperations;
