import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type {
  AskOutcome,
  FailureRecord,
  IssuedRecord,
  RefusedRecord,
  Revocation,
  RevocationOutcome,
  StoredPendingRequest,
  UnfinishedIntent,
} from "../core/ledger.ts";
import { orderAuthorityRevocation } from "./authority-revocation-operations.ts";
import { storedPendingRequest, unfinishedIntent } from "./enrolment-row.ts";
import { reportDecision, reportFailed, reportIssued, reportRevoked } from "./issuance-report.ts";
import {
  forgetPlanned,
  notifyFailed,
  notifyIssued,
  notifyRejected,
} from "./notification-operations.ts";
import { publishIssued, unpublishRevoked } from "./publication-operations.ts";

/** Our own limit: intents completed in one go at start. */
const MAX_UNFINISHED = 10_000;
/** Own limit on the issuers that have used one number. */
const MAX_SAME_SERIAL = 100;

/**
 * Stores a signed certificate and reports it. Of two signings of one intent the first stays; both callers get it, and a
 * second certificate of a remote authority is revoked there.
 */
export function enrolmentIssued(tx: Transaction, issued: IssuedRecord): Uint8Array {
  const row = findIntended(tx, issued.serialNumber);
  if (row === undefined) {
    throw new ConnectorError(
      "ledger-no-intent",
      `certificate ${issued.serialNumber} has no intent in the ledger`,
    );
  }
  if (row["state"] === "issued") return keepFirst(tx, row, issued);
  refuseAnothers(tx, row, issued);
  tx.run(
    `UPDATE enrolment SET state = 'issued', certificate = ?, thumbprint = ?, issued_at = ?, tbs = NULL,
       certification_request = NULL WHERE id = ?`,
    issued.certificate,
    issued.thumbprint,
    issued.at,
    row["id"] as number,
  );
  const completed = withActual(tx, row, issued.actual);
  reportIssued(tx, completed, issued);
  notifyIssued(tx, completed, issued);
  publishIssued(tx, row["id"] as number, issued.at);
  return issued.certificate;
}

/** Whether an authority has answered with the number of another order's certificate. */
function isAnothers(tx: Transaction, row: Row, { actual }: IssuedRecord): boolean {
  if (actual === undefined) return false;
  const other = tx.get(
    "SELECT 1 AS known FROM enrolment WHERE serial_number = ? AND issuer_key_id = ? AND id <> ?",
    actual.serialNumber,
    actual.issuerKeyId,
    row["id"] as number,
  );
  return other !== undefined;
}

function refuseAnothers(tx: Transaction, row: Row, issued: IssuedRecord): void {
  if (!isAnothers(tx, row, issued)) return;
  throw new RefusalError(
    "ca-mismatch",
    "ledger.serial-number",
    `The authority answered with certificate ${issued.actual?.serialNumber}, which is of another order`,
  );
}

function keepFirst(tx: Transaction, row: Row, issued: IssuedRecord): Uint8Array {
  const { certificate, actual, at } = issued;
  const first = row["certificate"] as Uint8Array;
  const isSame = actual === undefined || Buffer.compare(first, certificate) === 0;
  if (isSame || isAnothers(tx, row, issued)) return first;
  const { serialNumber, notAfter } = actual;
  const authority = row["authority"] as string;
  const reason = "superseded";
  orderAuthorityRevocation(tx, { authority, serialNumber, certificate, notAfter, reason }, at);
  return first;
}

/**
 * By the serial number that was planned, which is the certificate's own unless a remote authority chose another: what one
 * has chosen may be what was planned for somebody else.
 */
function findIntended(tx: Transaction, serialNumber: string): Row | undefined {
  return (
    tx.get("SELECT * FROM enrolment WHERE planned_serial_number = ?", serialNumber) ??
    tx.get(
      "SELECT * FROM enrolment WHERE serial_number = ? AND planned_serial_number IS NULL",
      serialNumber,
    )
  );
}

/** Keeps what a remote authority chose; the row as it is then. */
function withActual(tx: Transaction, row: Row, actual: IssuedRecord["actual"]): Row {
  if (actual === undefined) return row;
  const { serialNumber, issuerKeyId, issuer, notBefore, notAfter } = actual;
  tx.run(
    `UPDATE enrolment SET planned_serial_number = serial_number, serial_number = ?, issuer_key_id = ?, issuer = ?,
       not_before = ?, not_after = ? WHERE id = ?`,
    serialNumber,
    issuerKeyId,
    issuer,
    notBefore,
    notAfter,
    row["id"] as number,
  );
  return {
    ...row,
    serial_number: serialNumber,
    issuer,
    not_before: notBefore,
    not_after: notAfter,
  };
}

/** Whether a remote authority may be asked for this intent now; the answer holds until `until`. */
export function beginAsking(
  tx: Transaction,
  { serialNumber, at, until }: { serialNumber: string; at: number; until: number },
): AskOutcome {
  const row = tx.get(
    "SELECT * FROM enrolment WHERE serial_number = ? AND state = 'intent'",
    serialNumber,
  );
  if (row === undefined || ((row["asked_until"] as number | null) ?? 0) > at) {
    return { kind: "busy" };
  }
  tx.run(
    "UPDATE enrolment SET asked_at = coalesce(asked_at, ?), asked_until = ? WHERE id = ?",
    at,
    until,
    row["id"] as number,
  );
  return {
    kind: "ask",
    isRepeated: row["asked_at"] !== null,
    reference: (row["authority_reference"] as string | null) ?? undefined,
  };
}

export function endAsking(
  tx: Transaction,
  { serialNumber, reference }: { serialNumber: string; reference: string | undefined },
): void {
  tx.run(
    `UPDATE enrolment SET asked_until = NULL, authority_reference = ?
     WHERE serial_number = ? AND state = 'intent'`,
    reference ?? null,
    serialNumber,
  );
}

/** For one process that has the ledger to itself: nobody waits for an answer any more. */
export function releaseAsking(tx: Transaction): void {
  tx.run(
    "UPDATE enrolment SET asked_until = NULL WHERE state = 'intent' AND asked_until IS NOT NULL",
  );
}

/** Why it was refused is reported by who refuses; here the request and its challenge become free again. */
export function enrolmentRefused(
  tx: Transaction,
  { serialNumber, at, revoke }: RefusedRecord,
): void {
  if (revoke !== undefined) orderAuthorityRevocation(tx, revoke, at);
  const row = tx.get(
    "SELECT id, notification_id FROM enrolment WHERE serial_number = ? AND state = 'intent'",
    serialNumber,
  );
  if (row === undefined) return;
  const id = row["id"] as number;
  tx.run(
    `UPDATE enrolment SET state = 'refused', is_current = 0, tbs = NULL, certification_request = NULL WHERE id = ?`,
    id,
  );
  tx.run("DELETE FROM challenge WHERE enrolment_id = ?", id);
  forgetPlanned(tx, row);
}

export function enrolmentFailed(tx: Transaction, failure: FailureRecord): void {
  reportFailed(tx, failure);
  const { notify, at } = failure;
  if (notify !== undefined) notifyFailed(tx, notify.target, notify.payload, at);
}

export function unfinishedIntents(
  tx: Transaction,
  { intendedBefore }: { intendedBefore?: number | undefined } = {},
): UnfinishedIntent[] {
  return tx
    .all(
      "SELECT * FROM enrolment WHERE state = 'intent' AND intent_at < ? ORDER BY id LIMIT ?",
      intendedBefore ?? Number.MAX_SAFE_INTEGER,
      MAX_UNFINISHED,
    )
    .map(unfinishedIntent);
}

export function findPending(
  tx: Transaction,
  { pendingId }: { pendingId: number },
): StoredPendingRequest | undefined {
  const row = tx.get("SELECT * FROM enrolment WHERE id = ? AND state = 'pending'", pendingId);
  return row && storedPendingRequest(row);
}

/** Whether such a request was waiting. */
export function rejectPending(
  tx: Transaction,
  decision: { pendingId: number; actor: string; at: number },
): boolean {
  const row = tx.get(
    "SELECT * FROM enrolment WHERE id = ? AND state = 'pending'",
    decision.pendingId,
  );
  const { changes } = tx.run(
    `UPDATE enrolment SET state = 'rejected', decided_by = ?, certification_request = NULL
     WHERE id = ? AND state = 'pending'`,
    decision.actor,
    decision.pendingId,
  );
  if (changes === 1) reportDecision(tx, "enrolment.rejected", decision);
  if (row !== undefined) notifyRejected(tx, row, decision.at);
  return changes === 1;
}

export function revokeCertificate(tx: Transaction, revocation: Revocation): RevocationOutcome {
  const row = findIssued(tx, revocation);
  return row === undefined ? { kind: "unknown" } : revokeRow(tx, row, revocation);
}

/** The certificate of this row of `enrolment`. */
export function revokeRow(
  tx: Transaction,
  row: Row,
  revocation: Pick<Revocation, "reason" | "actor" | "at">,
): RevocationOutcome {
  const about = {
    issuerKeyId: row["issuer_key_id"] as string,
    authority: row["authority"] as string,
    serialNumber: row["serial_number"] as string,
    certificate: row["certificate"] as Uint8Array,
  };
  if (row["revoked_at"] !== null) return { kind: "already-revoked", ...about };
  tx.run(
    "UPDATE enrolment SET revoked_at = ?, revocation_reason = ? WHERE id = ?",
    revocation.at,
    revocation.reason,
    row["id"] as number,
  );
  // Only a remote authority has chosen another number than the planned one.
  if (row["planned_serial_number"] !== null) {
    const { reason, at } = revocation;
    const notAfter = row["not_after"] as number;
    orderAuthorityRevocation(tx, { ...about, notAfter, reason }, at);
  }
  unpublishRevoked(tx, row["id"] as number, revocation.at);
  reportRevoked(tx, row, revocation);
  return { kind: "revoked", ...about };
}

/** Throws ConnectorError `serial-ambiguous` where two issuers have used the number and the issuer is not said. */
function findIssued(tx: Transaction, { serialNumber, issuer }: Revocation): Row | undefined {
  const rows = tx
    .all(
      "SELECT * FROM enrolment WHERE serial_number = ? AND state = 'issued' LIMIT ?",
      serialNumber,
      MAX_SAME_SERIAL,
    )
    .filter((row) => issuer === undefined || row["issuer"] === issuer);
  if (rows.length < 2) return rows[0];
  throw new ConnectorError(
    "serial-ambiguous",
    `${rows.length} issuers have a certificate ${serialNumber}; name the issuer too`,
  );
}
