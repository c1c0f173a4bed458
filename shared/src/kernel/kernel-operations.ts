import type { Migration, Operations } from "../store/transaction.ts";
import {
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
  auditPage,
  auditReceipts,
  storeAuditReceipt,
  eraseAuditPayloads,
  consumeLimit,
  keepConfiguration,
  keptConfiguration,
} satisfies Operations;

export type KernelOperations = typeof kernelOperations;
