import { kernelMigrations, kernelOperations } from "@isthmus/shared/kernel/kernel-operations";
import { laneMigrations, laneOperations } from "@isthmus/shared/link/lane-operations";
import type { Operations } from "@isthmus/shared/store/transaction";
import {
  authorityRevocationDeferred,
  authorityRevocationDone,
  authorityRevocationMigrations,
  claimAuthorityRevocations,
} from "./authority-revocation-operations.ts";
import { enrolmentIntent, enrolmentPending } from "./enrolment-operations.ts";
import { expiryMigrations, recordExpiryWarning } from "./expiry-operations.ts";
import {
  importedPfxMigrations,
  removeImportedPfx,
  storeImportedPfx,
} from "./imported-pfx-operations.ts";
import {
  beginAsking,
  endAsking,
  enrolmentFailed,
  enrolmentIssued,
  enrolmentRefused,
  findPending,
  rejectPending,
  releaseAsking,
  revokeCertificate,
  unfinishedIntents,
} from "./issuance-operations.ts";
import { ledgerMigrations } from "./migrations.ts";
import { notificationMigrations } from "./notification-migrations.ts";
import {
  claimNotifications,
  hurryNotifications,
  notificationAccepted,
  notificationDeferred,
  notificationRefused,
  notificationState,
  releaseNotifications,
} from "./notification-operations.ts";
import { beginPkcsOrder, completePkcsOrder, pkcsMigrations } from "./pkcs-operations.ts";
import {
  claimPublications,
  publicationDeferred,
  publicationDone,
  publicationMigrations,
} from "./publication-operations.ts";
import {
  addRegistrationKey,
  publishRegistrationKey,
  registrationKeyMigrations,
  registrationKeys,
  removeExpiredRegistrationKeys,
} from "./registration-key-operations.ts";
import {
  holdKey,
  isKeyHeldByAll,
  replicaMigrations,
  replicaSeen,
  replicaStarted,
  replicaStopped,
  takeLease,
} from "./replica-operations.ts";
import { beginRevocationList, storeRevocationList } from "./revocation-operations.ts";
import {
  confirmRevocations,
  finishedRevocations,
  forgetRevocations,
  keepRevocationRequests,
  revocationRequestMigrations,
  revokeRequested,
} from "./revocation-request-operations.ts";
import { keepTraces, traceMigrations } from "./trace-operations.ts";

/** The module that the store's worker loads: all tables and operations of the certificate connector. */

/** @public The store's worker reads it by the module's address. */
export const migrations = [
  ...kernelMigrations,
  ...laneMigrations,
  ...ledgerMigrations,
  ...replicaMigrations,
  ...registrationKeyMigrations,
  ...pkcsMigrations,
  ...importedPfxMigrations,
  ...expiryMigrations,
  ...traceMigrations,
  ...notificationMigrations,
  ...revocationRequestMigrations,
  ...authorityRevocationMigrations,
  ...publicationMigrations,
];

/** @public What each replica has for itself where several share a database: audit, lanes, limits, configuration. */
export const ownMigrations = [...kernelMigrations, ...laneMigrations];
/** @public */
export const ownOperations = { ...kernelOperations, ...laneOperations } satisfies Operations;

/** @public The store's worker reads it by the module's address. */
export const operations = {
  ...ownOperations,
  enrolmentIntent,
  enrolmentPending,
  enrolmentIssued,
  enrolmentFailed,
  enrolmentRefused,
  beginAsking,
  endAsking,
  releaseAsking,
  unfinishedIntents,
  findPending,
  rejectPending,
  revokeCertificate,
  beginRevocationList,
  storeRevocationList,
  replicaStarted,
  replicaSeen,
  replicaStopped,
  holdKey,
  isKeyHeldByAll,
  takeLease,
  beginPkcsOrder,
  completePkcsOrder,
  storeImportedPfx,
  removeImportedPfx,
  registrationKeys,
  addRegistrationKey,
  publishRegistrationKey,
  removeExpiredRegistrationKeys,
  recordExpiryWarning,
  keepTraces,
  claimNotifications,
  hurryNotifications,
  notificationAccepted,
  notificationDeferred,
  notificationRefused,
  notificationState,
  releaseNotifications,
  keepRevocationRequests,
  revokeRequested,
  confirmRevocations,
  finishedRevocations,
  forgetRevocations,
  claimAuthorityRevocations,
  authorityRevocationDone,
  authorityRevocationDeferred,
  claimPublications,
  publicationDone,
  publicationDeferred,
} satisfies Operations;

export type CertificateOperations = typeof operations;
