import { ConnectorError } from "@isthmus/shared/errors";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { Act, RevocationRequest } from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import type { ScepChallenge } from "../core/scep-challenge.ts";
import { insertCommand } from "./command-operations.ts";
import { serviceOf } from "./connector-service.ts";
import { recordAct } from "./own-audit.ts";

/** How long a revocation waits for its connector. */
const REVOCATION_VALIDITY_MS = 7 * 86_400_000;

/**
 * Queues the revocation of a certificate at the connector that issued it; a revocation that is on its way already is
 * answered with its command. Throws `certificate-unknown`, `certificate-revoked`.
 */
function requestRevocation(
  transaction: Transaction,
  request: RevocationRequest,
): { readonly commandId: string } {
  const { connectorId, serialNumber, reason, commandId, ...act } = request;
  const row = transaction.get(
    "SELECT issuer, revoked_at FROM issued_certificate WHERE serial_number = ? AND connector_id = ?",
    serialNumber,
    connectorId,
  );
  if (row === undefined) {
    throw new ConnectorError("certificate-unknown", `No certificate ${serialNumber} is known`);
  }
  if (row["revoked_at"] !== null) {
    throw new ConnectorError(
      "certificate-revoked",
      `Certificate ${serialNumber} is revoked already`,
    );
  }
  const issuer = String(row["issuer"]);
  const underWay = transaction.get(
    `SELECT command_id FROM revocation_request r JOIN command c ON c.id = r.command_id
     WHERE r.serial_number = ? AND r.issuer = ? AND c.state IN ('queued', 'sent', 'accepted', 'running')`,
    serialNumber,
    issuer,
  );
  if (underWay !== undefined) return { commandId: String(underWay["command_id"]) };
  insertCommand(transaction, {
    id: commandId,
    connectorId,
    kind: "certificate.revoke",
    payload: { serialNumber, reason },
    ...act,
    notBefore: act.now,
    expiresAt: act.now + REVOCATION_VALIDITY_MS,
  });
  transaction.run(
    `INSERT INTO revocation_request (serial_number, issuer, command_id) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET command_id = excluded.command_id`,
    serialNumber,
    issuer,
    commandId,
  );
  const details = { connectorId, serialNumber, issuer, reason, commandId };
  recordAct(transaction, act, AUDIT_EVENTS.revocationRequested, details);
  return { commandId };
}

/** Keeps what a challenge permits, never the challenge itself. Throws `connector-unknown`. */
function recordChallenge(
  transaction: Transaction,
  { challenge, ...act }: Act & { readonly challenge: ScepChallenge },
): void {
  if (challenge.aud !== "any") serviceOf(transaction, challenge.aud);
  transaction.run(
    `INSERT INTO scep_challenge (id, connector_id, profile_id, device_id, user_principal_name, subject,
       subject_alt_names, created_at, expires_at, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    challenge.jti,
    challenge.aud,
    challenge.profileId,
    challenge.deviceId,
    challenge.userPrincipalName ?? null,
    challenge.subject,
    JSON.stringify(challenge.subjectAltNames),
    challenge.iat,
    challenge.exp,
    act.actor,
  );
  const { jti, aud, profileId, deviceId, subject } = challenge;
  const details = { id: jti, connectorId: aud, profileId, deviceId, subject };
  recordAct(transaction, act, AUDIT_EVENTS.challengeCreated, details);
}

/** What administrators do about certificates. */
export const certificateOperations = { requestRevocation, recordChallenge };
