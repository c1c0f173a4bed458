import { appendToStream } from "@isthmus/shared/link/lane-operations";
import type { IssuanceEvent } from "@isthmus/shared/link/messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type { FailureRecord, IssuedRecord, PendingRequest, Revocation } from "../core/ledger.ts";
import { recordAudit } from "./audit.ts";
import { grantOf } from "./enrolment-row.ts";

/** What is told of the ledger's steps, upwards (stream `issuance`) and in the audit, in the step's own transaction. */

/** Bounds of the wire's schema; a text is cut there, for a report must not fail where the deed succeeded. */
const MAX_TEXT = 1_024;
const MAX_TRANSACTION_ID = 256;
const MAX_USER_PRINCIPAL_NAME = 256;

export function reportIssued(
  tx: Transaction,
  row: Row,
  { thumbprint, wasAskedAgain, at }: Pick<IssuedRecord, "thumbprint" | "wasAskedAgain" | "at">,
): void {
  const entry: IssuanceEvent = {
    ...identityOf(row),
    event: "issued",
    at,
    notBefore: row["not_before"] as number,
    notAfter: row["not_after"] as number,
    thumbprint,
  };
  appendToStream(tx, { stream: "issuance", at, entry });
  recordAudit(tx, {
    at,
    event: "enrolment.issued",
    payload: {
      ...entry,
      frontDoor: row["front_door"],
      renews: row["renews_serial_number"] ?? undefined,
      ...(wasAskedAgain === true && { wasAskedAgain }),
    },
  });
}

export function reportRevoked(
  tx: Transaction,
  row: Row,
  revocation: Pick<Revocation, "reason" | "actor" | "at">,
): void {
  const { at, reason, actor } = revocation;
  const entry: IssuanceEvent = {
    ...identityOf(row),
    event: "revoked",
    at,
    revocationReason: reason,
  };
  appendToStream(tx, { stream: "issuance", at, entry });
  recordAudit(tx, { at, event: "certificate.revoked", payload: { ...entry, actor } });
}

export function reportFailed(tx: Transaction, failure: FailureRecord): void {
  const { at, profileId, deviceId, rule } = failure;
  const entry: IssuanceEvent = {
    event: "failed",
    at,
    transactionId: failure.transactionId.slice(0, MAX_TRANSACTION_ID),
    error: { code: failure.code, message: failure.message.slice(0, MAX_TEXT) },
    ...(profileId !== undefined && { profileId }),
    ...(deviceId !== undefined && { deviceId }),
  };
  appendToStream(tx, { stream: "issuance", at, entry });
  recordAudit(tx, { at, event: "enrolment.failed", payload: { ...entry, rule } });
}

export function reportPending(
  tx: Transaction,
  request: PendingRequest & { readonly pendingId: number },
): void {
  const { at, pendingId, transactionId, profileId, subject, grant } = request;
  recordAudit(tx, {
    at,
    event: "enrolment.pending",
    payload: { pendingId, transactionId, profileId, subject, deviceId: grant.deviceId },
  });
}

/** A person's word on a pending request. */
export function reportDecision(
  tx: Transaction,
  event: "enrolment.approved" | "enrolment.rejected",
  decision: { readonly pendingId: number; readonly actor: string; readonly at: number },
): void {
  const { at, pendingId, actor } = decision;
  recordAudit(tx, { at, event, payload: { pendingId, actor } });
}

function identityOf(row: Row) {
  const { deviceId, userPrincipalName } = grantOf(row);
  return {
    transactionId: (row["transaction_id"] as string).slice(0, MAX_TRANSACTION_ID),
    profileId: row["profile_id"] as string,
    subject: (row["subject"] as string).slice(0, MAX_TEXT),
    serialNumber: row["serial_number"] as string,
    issuer: (row["issuer"] as string).slice(0, MAX_TEXT),
    ...(deviceId !== undefined && { deviceId }),
    ...(userPrincipalName !== undefined && {
      userPrincipalName: userPrincipalName.slice(0, MAX_USER_PRINCIPAL_NAME),
    }),
  };
}
