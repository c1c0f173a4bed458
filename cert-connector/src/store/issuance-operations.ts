import { ConnectorError } from "@isthmus/shared/errors";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type {
  FailureRecord,
  IssuedRecord,
  Revocation,
  RevocationOutcome,
  StoredPendingRequest,
  UnfinishedIntent,
} from "../core/ledger.ts";
import { storedPendingRequest, unfinishedIntent } from "./enrolment-row.ts";
import { reportDecision, reportFailed, reportIssued, reportRevoked } from "./issuance-report.ts";

/** Our own limit: intents completed in one go at start. */
const MAX_UNFINISHED = 10_000;

/** Stores a signed certificate and reports it. Of two signings of one intent the first stays; both callers get it. */
export function enrolmentIssued(tx: Transaction, issued: IssuedRecord): Uint8Array {
  const row = tx.get("SELECT * FROM enrolment WHERE serial_number = ?", issued.serialNumber);
  if (row === undefined) {
    throw new ConnectorError(
      "ledger-no-intent",
      `certificate ${issued.serialNumber} has no intent in the ledger`,
    );
  }
  if (row["state"] === "issued") return row["certificate"] as Uint8Array;
  tx.run(
    `UPDATE enrolment SET state = 'issued', certificate = ?, thumbprint = ?, issued_at = ?, tbs = NULL WHERE id = ?`,
    issued.certificate,
    issued.thumbprint,
    issued.at,
    row["id"] as number,
  );
  reportIssued(tx, row, issued);
  return issued.certificate;
}

export function enrolmentFailed(tx: Transaction, failure: FailureRecord): void {
  reportFailed(tx, failure);
}

export function unfinishedIntents(tx: Transaction): UnfinishedIntent[] {
  return tx
    .all("SELECT * FROM enrolment WHERE state = 'intent' ORDER BY id LIMIT ?", MAX_UNFINISHED)
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
  const { changes } = tx.run(
    `UPDATE enrolment SET state = 'rejected', decided_by = ?, certification_request = NULL
     WHERE id = ? AND state = 'pending'`,
    decision.actor,
    decision.pendingId,
  );
  if (changes === 1) reportDecision(tx, "enrolment.rejected", decision);
  return changes === 1;
}

export function revokeCertificate(tx: Transaction, revocation: Revocation): RevocationOutcome {
  const row = tx.get(
    "SELECT * FROM enrolment WHERE serial_number = ? AND state = 'issued'",
    revocation.serialNumber,
  );
  if (row === undefined) return { kind: "unknown" };
  const issuerKeyId = row["issuer_key_id"] as string;
  if (row["revoked_at"] !== null) return { kind: "already-revoked", issuerKeyId };
  tx.run(
    "UPDATE enrolment SET revoked_at = ?, revocation_reason = ? WHERE id = ?",
    revocation.at,
    revocation.reason,
    row["id"] as number,
  );
  reportRevoked(tx, row, revocation);
  return { kind: "revoked", issuerKeyId };
}
