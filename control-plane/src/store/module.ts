import {
  auditHead,
  auditMigrations,
  auditPage,
  auditReceipts,
  storeAuditReceipt,
} from "@isthmus/shared/kernel/audit-operations";
import type { Migration, Operations, Transaction } from "@isthmus/shared/store/transaction";
import type { RecordOperations } from "../core/admin-records.ts";
import { accountOperations } from "./account-operations.ts";
import { actionMigrations } from "./action-migrations.ts";
import { adminMigrations } from "./admin-migrations.ts";
import { administrationOperations } from "./administration-operations.ts";
import { certificateOperations } from "./certificate-operations.ts";
import { coManagementMigrations } from "./co-management-migrations.ts";
import { configurationOperations } from "./configuration-operations.ts";
import { connectorMigrations } from "./connector-migrations.ts";
import { connectorOperations } from "./connector-operations.ts";
import { deadLetterMigrations } from "./dead-letters.ts";
import { deviceFeedOperations } from "./device-feed-operations.ts";
import { deviceOperations } from "./device-operations.ts";
import { exportOperations } from "./export-operations.ts";
import { inventoryMigrations } from "./inventory-migrations.ts";
import { inventoryQuotaOperations } from "./inventory-quota.ts";
import { inventoryRetentionOperations } from "./inventory-retention.ts";
import { pfxMigrations, pfxOperations } from "./pfx-operations.ts";
import { recoveryKeyOperations } from "./recovery-key-reveals.ts";
import { siteActionCancelOperations } from "./site-action-cancel.ts";
import { siteActionOperations } from "./site-action-operations.ts";
import { siteActionUpkeepOperations } from "./site-action-upkeep.ts";
import { sourceMigrations } from "./source-migrations.ts";
import { tunnelHealthOperations } from "./tunnel-health-operations.ts";
import { tunnelOperations } from "./tunnel-operations.ts";

/** The whole store of the control plane: what its worker thread loads. */

/** @public The store's worker reads it by the module's address. */
export const migrations: readonly Migration[] = [
  ...auditMigrations,
  ...connectorMigrations,
  ...adminMigrations,
  ...pfxMigrations,
  ...inventoryMigrations,
  ...actionMigrations,
  ...coManagementMigrations,
  ...sourceMigrations,
  ...deadLetterMigrations,
];

type OfRecords = {
  readonly [Name in keyof RecordOperations]: (
    transaction: Transaction,
    argument: Parameters<RecordOperations[Name]>[0],
  ) => ReturnType<RecordOperations[Name]>;
};

/** @public The store's worker reads it by the module's address. */
export const operations = {
  auditHead,
  auditPage,
  auditReceipts,
  storeAuditReceipt,
  ...connectorOperations,
  ...accountOperations,
  ...administrationOperations,
  ...configurationOperations,
  ...certificateOperations,
  ...deviceOperations,
  ...deviceFeedOperations,
  ...exportOperations,
  ...inventoryRetentionOperations,
  ...inventoryQuotaOperations,
  ...tunnelOperations,
  ...tunnelHealthOperations,
  ...pfxOperations,
  ...siteActionOperations,
  ...siteActionCancelOperations,
  ...siteActionUpkeepOperations,
  ...recoveryKeyOperations,
} satisfies OfRecords & Operations;
