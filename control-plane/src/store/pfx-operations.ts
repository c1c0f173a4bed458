import { ConnectorError } from "@isthmus/shared/errors";
import type { Migration, Row, SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import type { Act } from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import {
  type NewUserPfx,
  type PfxDeliveryRequest,
  type PkcsRequest,
  type UserPfxChange,
  userPfxId,
  type WantedRecipient,
} from "../core/pfx-records.ts";
import { insertCommand } from "./command-operations.ts";
import { presentDevice } from "./device-operations.ts";
import { recordAct } from "./own-audit.ts";

export const pfxMigrations: readonly Migration[] = [
  {
    id: "pfx-1",
    sql: `
      CREATE TABLE user_pfx_certificate (
        id TEXT PRIMARY KEY,
        user_principal_name TEXT NOT NULL,
        thumbprint TEXT NOT NULL,
        intended_purpose TEXT NOT NULL,
        starts_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        provider_name TEXT NOT NULL,
        key_name TEXT NOT NULL,
        padding_scheme TEXT NOT NULL,
        encrypted_pfx_blob TEXT NOT NULL,
        encrypted_pfx_password TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        modified_at INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX user_pfx_certificate_by_user ON user_pfx_certificate (user_principal_name);
      -- Envelopes that only the device can open, by the command that they came from.
      CREATE TABLE certificate_delivery (
        id TEXT PRIMARY KEY,
        request_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        connector_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        serial_number TEXT NOT NULL,
        thumbprint TEXT NOT NULL,
        recipient_thumbprint TEXT NOT NULL,
        not_after INTEGER NOT NULL,
        envelope TEXT NOT NULL,
        received_at INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX certificate_delivery_by_device ON certificate_delivery (device_id, received_at);
    `,
  },
];

/** Our own limit: 250,000 records of about 8 KB are 2 GB. */
const MAX_USER_PFX = 250_000;
const ORDER_VALIDITY_MS = 7 * 86_400_000;
/** What "none" means where Microsoft's own import tool writes it. */
const DEFAULT_PADDING = "oaepSha512";

/** Throws `user-pfx-exists`, `user-pfx-limit`. */
function createUserPfx(transaction: Transaction, pfx: NewUserPfx): { readonly id: string } {
  const id = userPfxId(pfx.userPrincipalName, pfx.thumbprint);
  if (findPfx(transaction, id) !== undefined) {
    throw new ConnectorError("user-pfx-exists", `There is a userPfxCertificate ${id} already`);
  }
  const count = transaction.get("SELECT count(*) AS n FROM user_pfx_certificate");
  if (Number(count?.["n"]) >= MAX_USER_PFX) {
    throw new ConnectorError(
      "user-pfx-limit",
      `There are ${MAX_USER_PFX} userPfxCertificates already`,
    );
  }
  transaction.run(
    `INSERT INTO user_pfx_certificate (id, user_principal_name, thumbprint, intended_purpose, starts_at, expires_at,
       provider_name, key_name, padding_scheme, encrypted_pfx_blob, encrypted_pfx_password, created_at, modified_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    pfx.userPrincipalName,
    pfx.thumbprint,
    pfx.intendedPurpose,
    pfx.startsAt,
    pfx.expiresAt,
    pfx.providerName,
    pfx.keyName,
    pfx.paddingScheme,
    pfx.encryptedPfxBlob,
    pfx.encryptedPfxPassword,
    pfx.now,
    pfx.now,
  );
  recordAct(transaction, pfx, AUDIT_EVENTS.userPfxCreated, detailsOf(id, pfx));
  return { id };
}

/** Throws `user-pfx-unknown`, `user-pfx-conflict`, `user-pfx-user` where it would become another user's. */
function changeUserPfx(transaction: Transaction, change: UserPfxChange): void {
  const { id } = change;
  const row = presentPfx(transaction, id, change.ifModifiedAt);
  const user = change.userPrincipalName ?? String(row["user_principal_name"]);
  if (userPfxId(user, String(row["thumbprint"])) !== id) {
    throw new ConnectorError("user-pfx-user", "A userPfxCertificate cannot become another user's");
  }
  const kept = (value: SqlValue | undefined, column: string) => value ?? row[column] ?? null;
  transaction.run(
    `UPDATE user_pfx_certificate SET intended_purpose = ?, starts_at = ?, expires_at = ?, provider_name = ?,
       key_name = ?, padding_scheme = ?, encrypted_pfx_blob = ?, encrypted_pfx_password = ?, modified_at = ? WHERE id = ?`,
    kept(change.intendedPurpose, "intended_purpose"),
    kept(change.startsAt, "starts_at"),
    kept(change.expiresAt, "expires_at"),
    kept(change.providerName, "provider_name"),
    kept(change.keyName, "key_name"),
    kept(change.paddingScheme, "padding_scheme"),
    kept(change.encryptedPfxBlob, "encrypted_pfx_blob"),
    kept(change.encryptedPfxPassword, "encrypted_pfx_password"),
    // Two changes in one millisecond are still two.
    Math.max(change.now, Number(row["modified_at"]) + 1),
    id,
  );
  recordAct(transaction, change, AUDIT_EVENTS.userPfxChanged, { id, userPrincipalName: user });
}

/** Throws `user-pfx-unknown`, `user-pfx-conflict`. */
function removeUserPfx(
  transaction: Transaction,
  { id, ifModifiedAt, ...act }: Act & { readonly id: string; readonly ifModifiedAt?: number },
): void {
  presentPfx(transaction, id, ifModifiedAt);
  transaction.run("DELETE FROM user_pfx_certificate WHERE id = ?", id);
  recordAct(transaction, act, AUDIT_EVENTS.userPfxRemoved, { id });
}

function presentPfx(transaction: Transaction, id: string, ifModifiedAt: number | undefined): Row {
  const row = findPfx(transaction, id);
  if (row === undefined) {
    throw new ConnectorError(
      "user-pfx-unknown",
      `There is no userPfxCertificate ${id.slice(0, 200)}`,
    );
  }
  if (ifModifiedAt === undefined || Number(row["modified_at"]) === ifModifiedAt) return row;
  throw new ConnectorError("user-pfx-conflict", `userPfxCertificate ${id} was changed meanwhile`);
}

function findPfx(transaction: Transaction, id: string): Row | undefined {
  return transaction.get("SELECT * FROM user_pfx_certificate WHERE id = ?", id);
}

function detailsOf(id: string, { userPrincipalName, intendedPurpose, keyName }: NewUserPfx) {
  return { id, userPrincipalName, intendedPurpose, keyName };
}

/** Orders a key and a certificate for a device. Throws `device-unknown`, `recipient-unknown`, `connector-unknown`. */
function requestPkcsCertificate(transaction: Transaction, request: PkcsRequest): void {
  const { profileId, subject, subjectAltNames } = request;
  const device = presentDevice(transaction, request.deviceId);
  const user = device["user_principal_name"];
  const order = {
    profileId,
    subject,
    subjectAltNames,
    ...(typeof user === "string" && { userPrincipalName: user }),
  };
  queue(transaction, request, "certificate.pkcs", order);
  recordAct(transaction, request, AUDIT_EVENTS.pkcsRequested, { ...about(request), profileId });
}

/** Orders an imported PFX for a device. Throws as the other, and `user-pfx-unknown`. */
function requestPfxDelivery(transaction: Transaction, request: PfxDeliveryRequest): void {
  const { userPfxCertificateId, format } = request;
  presentDevice(transaction, request.deviceId);
  const row = presentPfx(transaction, userPfxCertificateId, undefined);
  const padding = String(row["padding_scheme"]);
  const pfx = {
    thumbprint: String(row["thumbprint"]),
    userPrincipalName: String(row["user_principal_name"]),
    keyName: String(row["key_name"]),
    paddingScheme: padding === "none" ? DEFAULT_PADDING : padding,
    encryptedPfxBlob: String(row["encrypted_pfx_blob"]),
    encryptedPfxPassword: String(row["encrypted_pfx_password"]),
  };
  queue(transaction, request, "pfx.deliver", { format, pfx });
  const details = { ...about(request), userPfxCertificateId };
  recordAct(transaction, request, AUDIT_EVENTS.pfxDeliveryRequested, details);
}

function queue(
  transaction: Transaction,
  request: PkcsRequest | PfxDeliveryRequest,
  kind: string,
  order: object,
): void {
  const { commandId, connectorId, requestId, deviceId, actor, now } = request;
  const recipient = recipientOf(transaction, request);
  insertCommand(transaction, {
    id: commandId,
    connectorId,
    kind,
    payload: { requestId, deviceId, recipient, ...order },
    actor,
    now,
    notBefore: now,
    expiresAt: now + ORDER_VALIDITY_MS,
  });
}

/** The device's newest certificate of the connector, where the request names none. */
function recipientOf(
  transaction: Transaction,
  { connectorId, deviceId, recipient, now }: PkcsRequest | PfxDeliveryRequest,
): NonNullable<WantedRecipient> {
  if (recipient !== undefined) return recipient;
  const row = transaction.get(
    `SELECT serial_number FROM issued_certificate WHERE connector_id = ? AND device_id = ? AND revoked_at IS NULL
       AND not_after > ? AND transaction_id NOT IN (SELECT request_id FROM certificate_delivery)
     ORDER BY issued_at DESC, serial_number LIMIT 1`,
    connectorId,
    deviceId,
    now,
  );
  if (row !== undefined) return { kind: "issued", serialNumber: String(row["serial_number"]) };
  throw new ConnectorError(
    "recipient-unknown",
    `Connector ${connectorId} has issued device ${deviceId} no certificate that is valid now; name a recipient`,
  );
}

function about({ connectorId, deviceId, requestId, commandId }: PkcsRequest | PfxDeliveryRequest) {
  return { connectorId, deviceId, requestId, commandId };
}

/** PFX files of users, and orders that end in an envelope for a device. */
export const pfxOperations = {
  createUserPfx,
  changeUserPfx,
  removeUserPfx,
  requestPkcsCertificate,
  requestPfxDelivery,
};
