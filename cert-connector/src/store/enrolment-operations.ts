import { RefusalError } from "@isthmus/shared/errors";
import { consumeLimit } from "@isthmus/shared/kernel/limit-operations";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type { Grant } from "../core/grant.ts";
import {
  CLOCK_TOLERANCE_MS,
  type Intent,
  type IntentOutcome,
  type PendingRequest,
  type RequestKey,
  type Standing,
} from "../core/ledger.ts";
import { MAX_PENDING_MS, standingOf } from "./enrolment-row.ts";
import { reportDecision, reportPending } from "./issuance-report.ts";
import { planNotification } from "./notification-operations.ts";
import { planPublication } from "./publication-operations.ts";
import { admitRescue } from "./rescue-operations.ts";

/** Our own limits. */
const RATE_WINDOW_MINUTES = 60;
const MAX_PENDING = 10_000;
const MAX_PRUNED = 50;
/** One is the rule; the others are for a client that loses the answer and asks again with another key. */
const MAX_RENEWALS = 5;
/** A used challenge is remembered this long past its expiry, by which time its own date refuses it. */
const CHALLENGE_MEMORY_MS = 86_400_000;

/**
 * Stores the serial number and the exact bytes that will be signed, and uses up the challenge: or says where the same
 * request stands already. Throws RefusalError; then nothing of it stays, no use of a rate either.
 */
export function enrolmentIntent(tx: Transaction, intent: Intent): IntentOutcome {
  if (intent.pendingId !== undefined) return intentOfApproved(tx, intent, intent.pendingId);
  const known = knownStanding(tx, intent, intent.grant, intent.at);
  if (known !== undefined) return known;
  refuseClockBehind(tx, intent.at);
  refuseRevoked(tx, intent);
  refuseTooManyRenewals(tx, intent.renewsSerialNumber);
  admitRescue(tx, intent);
  takeRate(tx, intent);
  takeWindow(tx, intent);
  const { lastInsertRowid } = tx.run(
    `INSERT INTO enrolment (profile_id, transaction_id, request_hash, front_door, state, requester_key_hash, subject,
       device_id, grant_json, renews_serial_number, requested_at, authority, issuer_key_id, issuer, serial_number, tbs,
       certification_request, not_before, not_after, intent_at)
     VALUES (?, ?, ?, ?, 'intent', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    intent.profileId,
    intent.transactionId,
    intent.requestHash,
    intent.frontDoor,
    intent.requesterKeyHash,
    intent.subject,
    intent.grant.deviceId ?? null,
    JSON.stringify(intent.grant),
    intent.renewsSerialNumber ?? null,
    intent.at,
    intent.authority,
    intent.issuerKeyId,
    intent.issuer,
    intent.serialNumber,
    intent.tbs,
    intent.certificationRequest ?? null,
    intent.notBefore,
    intent.notAfter,
    intent.at,
  );
  useChallenge(tx, intent, lastInsertRowid);
  markIssuance(tx, intent.at);
  return { kind: "recorded", notificationId: planned(tx, intent, lastInsertRowid) };
}

/** Keeps a request until a person has decided. */
export function enrolmentPending(tx: Transaction, request: PendingRequest): Standing {
  const known = knownStanding(tx, request, request.grant, request.at);
  if (known !== undefined) return known;
  expirePending(tx, request.at);
  refuseTooManyPending(tx);
  refuseTooManyRenewals(tx, request.renewsSerialNumber);
  admitRescue(tx, request);
  takeRate(tx, request);
  const { lastInsertRowid } = tx.run(
    `INSERT INTO enrolment (profile_id, transaction_id, request_hash, front_door, state, requester_key_hash, subject,
       device_id, grant_json, renews_serial_number, requested_at, certification_request)
     VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?)`,
    request.profileId,
    request.transactionId,
    request.requestHash,
    request.frontDoor,
    request.requesterKeyHash,
    request.subject,
    request.grant.deviceId ?? null,
    JSON.stringify(request.grant),
    request.renewsSerialNumber ?? null,
    request.at,
    request.certificationRequest,
  );
  useChallenge(tx, request, lastInsertRowid);
  reportPending(tx, { pendingId: lastInsertRowid, ...request });
  return { kind: "pending", pendingId: lastInsertRowid };
}

function intentOfApproved(tx: Transaction, intent: Intent, pendingId: number): IntentOutcome {
  refuseClockBehind(tx, intent.at);
  refuseRevoked(tx, intent);
  const { changes } = tx.run(
    `UPDATE enrolment SET state = 'intent', certification_request = ?, decided_by = 'local', authority = ?, issuer_key_id = ?, issuer = ?,
       serial_number = ?, tbs = ?, not_before = ?, not_after = ?, intent_at = ?
     WHERE id = ? AND state = 'pending' AND requested_at >= ?`,
    intent.certificationRequest ?? null,
    intent.authority,
    intent.issuerKeyId,
    intent.issuer,
    intent.serialNumber,
    intent.tbs,
    intent.notBefore,
    intent.notAfter,
    intent.at,
    pendingId,
    intent.at - MAX_PENDING_MS,
  );
  if (changes === 1) {
    reportDecision(tx, "enrolment.approved", { pendingId, actor: "local", at: intent.at });
    markIssuance(tx, intent.at);
    return { kind: "recorded", notificationId: planned(tx, intent, pendingId) };
  }
  const row = tx.get("SELECT * FROM enrolment WHERE id = ?", pendingId);
  const standing = row && standingOf(row, intent.at);
  if (standing !== undefined) return standing;
  throw new RefusalError("request-unknown", "ledger.pending", `No request ${pendingId} waits`);
}

function planned(
  tx: Transaction,
  { notification, publication, at }: Intent,
  enrolmentId: number,
): number | undefined {
  if (publication !== undefined) planPublication(tx, enrolmentId, publication);
  if (notification === undefined) return undefined;
  const id = planNotification(tx, notification, at);
  tx.run("UPDATE enrolment SET notification_id = ? WHERE id = ?", id, enrolmentId);
  return id;
}

/** The standing of the same request, or of the request that used the same challenge. */
function knownStanding(
  tx: Transaction,
  key: RequestKey,
  grant: Grant,
  at: number,
): Standing | undefined {
  const row = findRequest(tx, key);
  if (row !== undefined) {
    const standing = standingOf(row, at);
    if (standing !== undefined) return standing;
    tx.run("UPDATE enrolment SET is_current = 0 WHERE id = ?", row["id"] as number);
  }
  return challengeStanding(tx, key, grant, at);
}

/** A one-time challenge belongs to the first request it came with; the same request again is a retry. */
function challengeStanding(
  tx: Transaction,
  key: RequestKey,
  { challenge }: Grant,
  at: number,
): Standing | undefined {
  if (challenge === undefined) return undefined;
  const row = tx.get(
    `SELECT enrolment.*, challenge.request_hash AS used_by FROM challenge
     JOIN enrolment ON enrolment.id = challenge.enrolment_id WHERE challenge.id = ?`,
    challenge.id,
  );
  if (row === undefined) return undefined;
  const isRetry = Buffer.compare(row["used_by"] as Uint8Array, key.requestHash) === 0;
  const standing = isRetry ? standingOf(row, at) : undefined;
  if (standing !== undefined) return standing;
  throw new RefusalError(
    "challenge-used",
    "challenge.one-time",
    "The challenge was used by another request before",
  );
}

function useChallenge(
  tx: Transaction,
  { requestHash, grant, at }: { requestHash: Uint8Array; grant: Grant; at: number },
  enrolmentId: number,
): void {
  if (grant.challenge === undefined) return;
  tx.run(
    "INSERT INTO challenge (id, request_hash, enrolment_id, expires_at) VALUES (?, ?, ?, ?)",
    grant.challenge.id,
    requestHash,
    enrolmentId,
    grant.challenge.expiresAt,
  );
  tx.run(
    `DELETE FROM challenge WHERE id IN (SELECT id FROM challenge WHERE expires_at < ? LIMIT ${MAX_PRUNED})`,
    at - CHALLENGE_MEMORY_MS,
  );
}

function findRequest(tx: Transaction, key: RequestKey): Row | undefined {
  return tx.get(
    `SELECT * FROM enrolment
     WHERE transaction_id = ? AND request_hash = ? AND profile_id = ? AND is_current = 1`,
    key.transactionId,
    key.requestHash,
    key.profileId,
  );
}

/** Nothing is dated before what was issued already: a clock turned back would hide expiries and reorder the ledger. */
function refuseClockBehind(tx: Transaction, at: number): void {
  const mark = tx.get("SELECT value FROM ledger_mark WHERE name = 'last-issuance-at'");
  const behindMs = (mark?.["value"] as number) - at;
  if (behindMs <= CLOCK_TOLERANCE_MS) return;
  throw new RefusalError(
    "clock-behind",
    "ledger.clock",
    `The clock is ${behindMs} ms behind the last issuance; set it right and try again`,
  );
}

function markIssuance(tx: Transaction, at: number): void {
  tx.run("UPDATE ledger_mark SET value = max(value, ?) WHERE name = 'last-issuance-at'", at);
}

/** Days may lie between a renewal and a person's word on it, in which the device was lost. */
function refuseRevoked(tx: Transaction, { renewsSerialNumber, profileId }: Intent): void {
  if (renewsSerialNumber === undefined) return;
  const revoked = tx.get(
    "SELECT 1 AS revoked FROM enrolment WHERE serial_number = ? AND profile_id = ? AND revoked_at IS NOT NULL LIMIT 1",
    renewsSerialNumber,
    profileId,
  );
  if (revoked === undefined) return;
  throw new RefusalError(
    "renewal-revoked",
    "ledger.revoked",
    "The certificate to renew was revoked",
  );
}

/** Each successor is valid until its own end: without a bound one certificate would become any number. */
function refuseTooManyRenewals(tx: Transaction, serialNumber: string | undefined): void {
  if (serialNumber === undefined) return;
  const row = tx.get(
    `SELECT count(*) AS successors FROM enrolment WHERE renews_serial_number = ? AND state NOT IN ('rejected', 'refused')`,
    serialNumber,
  );
  if ((row?.["successors"] as number) < MAX_RENEWALS) return;
  throw new RefusalError(
    "renewal-limit",
    "ledger.renewals",
    `The certificate was renewed ${MAX_RENEWALS} times already; enrol with a new challenge`,
  );
}

/** Counts per minute, so that a busy profile's window is 60 rows however much it issues. */
function takeRate(
  tx: Transaction,
  of: { readonly profileId: string; readonly maxPerHour: number; readonly at: number },
): void {
  const minute = Math.floor(of.at / 60_000);
  const sum = tx.get(
    "SELECT coalesce(sum(count), 0) AS total FROM profile_rate WHERE profile_id = ? AND minute > ?",
    of.profileId,
    minute - RATE_WINDOW_MINUTES,
  );
  if ((sum?.["total"] as number) >= of.maxPerHour) {
    throw new RefusalError(
      "profile-rate-exceeded",
      "profile.maxPerHour",
      `Profile ${of.profileId} has issued ${of.maxPerHour} certificates within an hour`,
    );
  }
  tx.run(
    `INSERT INTO profile_rate (profile_id, minute, count) VALUES (?, ?, 1)
     ON CONFLICT (profile_id, minute) DO UPDATE SET count = profile_rate.count + 1`,
    of.profileId,
    minute,
  );
  tx.run(
    "DELETE FROM profile_rate WHERE profile_id = ? AND minute <= ?",
    of.profileId,
    minute - RATE_WINDOW_MINUTES,
  );
}

/** The guardrails' window over everything this connector issues. */
function takeWindow(tx: Transaction, { window, at }: Intent): void {
  if (window === undefined) return;
  consumeLimit(tx, { kind: "certificate-issuance", count: 1, ...window, now: at });
}

/** What nobody decided on makes room: it counts as rejected from then on. */
function expirePending(tx: Transaction, at: number): void {
  tx.run(
    `UPDATE enrolment SET state = 'rejected', decided_by = 'expiry', certification_request = NULL
     WHERE id IN (SELECT id FROM enrolment WHERE state = 'pending' AND requested_at < ? LIMIT ${MAX_PRUNED})`,
    at - MAX_PENDING_MS,
  );
}

function refuseTooManyPending(tx: Transaction): void {
  const row = tx.get(
    "SELECT count(*) AS waiting FROM (SELECT 1 FROM enrolment WHERE state = 'pending' LIMIT ?) AS bounded",
    MAX_PENDING,
  );
  if ((row?.["waiting"] as number) < MAX_PENDING) return;
  throw new RefusalError(
    "pending-full",
    "ledger.pending",
    `${MAX_PENDING} requests wait for a person`,
  );
}
