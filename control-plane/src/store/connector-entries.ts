import { randomUUID } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import { INVENTORY_STREAM } from "@isthmus/shared/link/inventory-messages";
import type { IssuanceEvent } from "@isthmus/shared/link/messages";
import { auditEntry, commandResult, issuanceEvent } from "@isthmus/shared/link/messages";
import { ACTIONS_STREAM } from "@isthmus/shared/link/site-messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import { takeActionEntry } from "./action-entries.ts";
import { insertCommand } from "./command-operations.ts";
import { raiseSeen } from "./connector-delivery.ts";
import { recordConnectorEvent } from "./connector-sessions.ts";
import { takeDelivery } from "./delivery-entries.ts";
import { tellCertificate, tellTunnel } from "./device-timeline.ts";
import type { IngestContext } from "./ingest-context.ts";
import { takeInventoryEntry, takeRecordsLine } from "./inventory-entries.ts";
import { takeRecoveryKeys } from "./recovery-key-reveals.ts";
import { settleActionOf } from "./site-action-settle.ts";

type EntryHandler = (context: IngestContext, entry: unknown) => void;

const REFRESH_VALIDITY_MS = 3_600_000;

/** Each log stream and what takes one entry of it; throws ProtocolError for an entry that cannot be taken. */
export const entryHandlers: Readonly<Record<string, EntryHandler | undefined>> = {
  commands: takeCommandResult,
  issuance: takeIssuanceEvent,
  audit: takeAuditEntry,
  [INVENTORY_STREAM]: takeInventoryEntry,
  [ACTIONS_STREAM]: takeActionEntry,
};

/** What takes lines of a stream that need not be read by JSON.parse; false for one that is to be. */
export const lineHandlers: Readonly<
  Record<string, ((context: IngestContext, line: string) => boolean) | undefined>
> = { [INVENTORY_STREAM]: takeRecordsLine };

/** What takes the entries of a stream from a connector of this service; undefined where it has no such stream. */
export function entryHandlerOf(stream: string, service: string): EntryHandler | undefined {
  // Who issues no certificates has none to speak of: it could claim others' and set every gateway to work.
  if (stream === "issuance" && service !== "cert-connector") return undefined;
  const isOfBridges = stream === INVENTORY_STREAM || stream === ACTIONS_STREAM;
  if (isOfBridges && service !== "comgmt-bridge") return undefined;
  return Object.hasOwn(entryHandlers, stream) ? entryHandlers[stream] : undefined;
}

const issuanceHandlers = { issued: takeIssued, revoked: takeRevoked, failed: takeFailure };

interface EntrySchema<T> {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: T }
    | { readonly success: false; readonly error: Error };
}

function parseEntry<T>(schema: EntrySchema<T>, entry: unknown, what: string): T {
  const result = schema.safeParse(entry);
  if (result.success) return result.data;
  throw new ProtocolError("entry-invalid", `${what} is invalid`, result.error);
}

/** A connector's result stands; only what the control plane itself had concluded (expired, unknown) gives way to it. */
function takeCommandResult(context: IngestContext, entry: unknown): void {
  const { transaction, connectorId } = context;
  const ended = parseEntry(commandResult, entry, "command result");
  const told = { commandId: ended.id, connectorId, result: ended.result };
  const about = { ...told, result: takeRecoveryKeys(transaction, told, context.now) };
  const result =
    ended.state === "succeeded" ? takeDelivery(transaction, about, context.now) : about.result;
  const { changes } = transaction.run(
    `UPDATE command SET state = ?, state_at = ?, result = ?, error = ?
     WHERE id = ? AND connector_id = ?
       AND state IN ('queued', 'sent', 'accepted', 'running', 'expired', 'unknown')`,
    ended.state,
    ended.endedAt,
    result === undefined ? null : JSON.stringify(result),
    ended.error === undefined ? null : JSON.stringify(ended.error),
    ended.id,
    connectorId,
  );
  if (changes > 0) {
    raiseSeen(transaction, connectorId, ended.id);
    settleActionOf(context, ended.id);
  }
  context.endedCommands.push(ended.id);
}

function takeIssuanceEvent(context: IngestContext, entry: unknown): void {
  const event = parseEntry(issuanceEvent, entry, "issuance event");
  issuanceHandlers[event.event](context, event);
}

function namesOf(event: IssuanceEvent): { serialNumber: string; issuer: string } {
  const { serialNumber, issuer } = event;
  if (serialNumber !== undefined && issuer !== undefined) return { serialNumber, issuer };
  throw new ProtocolError("entry-invalid", "issuance event names no certificate");
}

/** The same certificate again (a restored connector, a restored control plane) changes nothing but what was unknown. */
function takeIssued(context: IngestContext, event: IssuanceEvent): void {
  const { transaction, connectorId } = context;
  const { serialNumber, issuer } = namesOf(event);
  const present = certificateRow(transaction, serialNumber, issuer);
  const isForeign = present !== undefined && present["connector_id"] !== connectorId;
  const isOther = Boolean(present?.["thumbprint"]) && present?.["thumbprint"] !== event.thumbprint;
  if (isForeign || isOther) {
    throw new ProtocolError(
      "certificate-contradicts",
      "another certificate has this serial number",
    );
  }
  transaction.run(
    `INSERT INTO issued_certificate (serial_number, issuer, connector_id, transaction_id, profile_id, device_id,
       user_principal_name, subject, not_before, not_after, thumbprint, issued_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (serial_number, issuer) DO UPDATE SET transaction_id = excluded.transaction_id,
       profile_id = excluded.profile_id, device_id = excluded.device_id,
       user_principal_name = excluded.user_principal_name, subject = excluded.subject,
       not_before = excluded.not_before, not_after = excluded.not_after, thumbprint = excluded.thumbprint,
       issued_at = excluded.issued_at`,
    serialNumber,
    issuer,
    connectorId,
    event.transactionId,
    event.profileId ?? null,
    event.deviceId ?? null,
    event.userPrincipalName ?? null,
    event.subject ?? null,
    event.notBefore ?? null,
    event.notAfter ?? null,
    event.thumbprint ?? null,
    event.at,
  );
  if ((present?.["issued_at"] ?? null) === null) tellCertificate(context, event, event.deviceId);
}

function certificateRow(
  transaction: Transaction,
  serialNumber: string,
  issuer: string,
): Row | undefined {
  return transaction.get(
    "SELECT connector_id, thumbprint, issued_at, device_id FROM issued_certificate WHERE serial_number = ? AND issuer = ?",
    serialNumber,
    issuer,
  );
}

/** A revocation may come before the issuance it ends, where a stream was cut by a retention. Gateways are told at once. */
function takeRevoked(context: IngestContext, event: IssuanceEvent): void {
  const { transaction, connectorId } = context;
  const { serialNumber, issuer } = namesOf(event);
  const present = certificateRow(transaction, serialNumber, issuer);
  if (present !== undefined && present["connector_id"] !== connectorId) {
    throw new ProtocolError("certificate-contradicts", "another connector issued this certificate");
  }
  const { changes } = transaction.run(
    `INSERT INTO issued_certificate (serial_number, issuer, connector_id, transaction_id, revoked_at, revocation_reason)
     VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (serial_number, issuer) DO UPDATE SET revoked_at = excluded.revoked_at,
       revocation_reason = excluded.revocation_reason
     WHERE revoked_at IS NULL`,
    serialNumber,
    issuer,
    connectorId,
    event.transactionId,
    event.at,
    event.revocationReason ?? "unspecified",
  );
  if (changes === 0) return;
  const deviceId = event.deviceId ?? present?.["device_id"];
  tellCertificate(context, event, typeof deviceId === "string" ? deviceId : undefined);
  refreshGateways(context);
}

function refreshGateways(context: IngestContext): void {
  const { transaction, now } = context;
  const gateways = transaction.all(
    `SELECT id FROM connector WHERE service = 'tunnel-gateway' AND disabled_at IS NULL AND NOT EXISTS
       (SELECT 1 FROM command WHERE connector_id = connector.id AND kind = 'revocation.refresh'
          AND state = 'queued' AND seq IS NULL) LIMIT 10000`,
  );
  for (const gateway of gateways) {
    insertCommand(transaction, {
      id: randomUUID(),
      connectorId: String(gateway["id"]),
      kind: "revocation.refresh",
      payload: {},
      actor: `connector ${context.connectorId}`,
      now,
      notBefore: now,
      expiresAt: now + REFRESH_VALIDITY_MS,
    });
    context.newCommands += 1;
  }
}

function takeFailure({ transaction, connectorId }: IngestContext, event: IssuanceEvent): void {
  transaction.run(
    `INSERT INTO issuance_failure (connector_id, transaction_id, at, profile_id, device_id, user_principal_name, code,
       message) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    connectorId,
    event.transactionId,
    event.at,
    event.profileId ?? null,
    event.deviceId ?? null,
    event.userPrincipalName ?? null,
    event.error?.code ?? "unknown",
    event.error?.message ?? "",
  );
}

/** Keeps a link of the chain. A second branch is taken (evidence is never refused) and reported where no restore explains it. */
function takeAuditEntry(context: IngestContext, entry: unknown): void {
  const { transaction, connectorId, epoch, now } = context;
  const link = parseEntry(auditEntry, entry, "audit entry");
  const fork = transaction.get(
    "SELECT 1 FROM audit_entry WHERE connector_id = ? AND idx = ? AND epoch = ? AND hash <> ?",
    connectorId,
    link.index,
    epoch,
    link.hash,
  );
  if (fork !== undefined) {
    const detail = `two entries of epoch ${epoch} have index ${link.index}`;
    recordConnectorEvent(transaction, connectorId, now, "audit.forked", detail);
  }
  const { changes } = transaction.run(
    `INSERT INTO audit_entry (connector_id, idx, hash, previous_hash, epoch, at, event, payload_hash, payload)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    connectorId,
    link.index,
    link.hash,
    link.previousHash,
    epoch,
    link.at,
    link.event,
    link.payloadHash,
    link.payload === undefined ? null : JSON.stringify(link.payload),
  );
  if (changes > 0 && context.service === "tunnel-gateway") tellTunnel(context, link);
}
