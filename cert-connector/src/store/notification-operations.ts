import { hash } from "node:crypto";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import {
  type ClaimedNotification,
  type FailurePayload,
  failurePayload,
  type NotificationContent,
  type NotificationState,
  type NotificationTarget,
  type PlannedNotification,
  plannedNotification,
  successPayload,
} from "../core/notification.ts";
import { recordAudit } from "./audit.ts";
import { grantOf } from "./enrolment-row.ts";
import { reportFailed } from "./issuance-report.ts";

/** Our own limits: about 4 kB each. */
const MAX_OPEN = 50_000;
const MAX_PRUNED = 50;
/** Ended ones are kept this long, without their payload, for whoever asks what became of an enrolment. */
const MEMORY_MS = 30 * 86_400_000;
const MAX_TEXT = 1_024;

/** Keeps, with an intent, what will be told once there is a certificate. Throws `notifications-full` (retryable). */
export function planNotification(
  tx: Transaction,
  planned: PlannedNotification,
  at: number,
): number {
  if (isFull(tx)) {
    throw new ConnectorError(
      "notifications-full",
      `${MAX_OPEN} notifications wait to be sent; see \`notifications list\` for what keeps them`,
      { isRetryable: true },
    );
  }
  const { target, transactionId, certificateRequest } = planned;
  const payload = { transactionId, certificateRequest };
  return insert(tx, { state: "planned", event: "success", target, payload, at });
}

/** The enrolment `row` has its certificate: completes what is told of it. */
export function notifyIssued(
  tx: Transaction,
  row: Row,
  issued: { readonly certificate: Uint8Array; readonly at: number },
): void {
  const id = row["notification_id"] as number | null;
  if (id === null) return;
  const stored = tx.get("SELECT payload_json FROM notification WHERE id = ?", id);
  const payload = successPayload({
    planned: JSON.parse(stored?.["payload_json"] as string),
    sha1: hash("sha1", issued.certificate, "hex"),
    serialNumber: row["serial_number"] as string,
    notAfter: new Date(row["not_after"] as number).toISOString(),
    issuer: row["issuer"] as string,
    authority: row["authority"] as string,
  });
  tx.run(
    "UPDATE notification SET state = 'waiting', payload_json = ?, created_at = ?, next_at = ? WHERE id = ? AND state = 'planned'",
    JSON.stringify(payload),
    issued.at,
    issued.at,
    id,
  );
}

/** There will be no certificate. */
export function forgetPlanned(tx: Transaction, row: Row): void {
  const id = row["notification_id"] as number | null;
  if (id === null) return;
  tx.run("UPDATE enrolment SET notification_id = NULL WHERE notification_id = ?", id);
  tx.run("DELETE FROM notification WHERE id = ? AND state = 'planned'", id);
}

/** A failure to tell; one for each transaction, however often the device repeats it. Dropped where the outbox is full. */
export function notifyFailed(
  tx: Transaction,
  target: NotificationTarget,
  payload: FailurePayload,
  at: number,
): void {
  const known = tx.get(
    "SELECT 1 AS known FROM notification WHERE transaction_id = ? AND event = 'failure' AND target_name = ? LIMIT 1",
    payload.transactionId,
    target.name,
  );
  if (known !== undefined || isFull(tx)) return;
  insert(tx, { state: "waiting", event: "failure", target, payload, at });
}

/** A person has rejected the request of this row, which waited with its certification request. */
export function notifyRejected(tx: Transaction, row: Row, at: number): void {
  const { notify } = grantOf(row);
  if (notify === undefined) return;
  const der = Buffer.from(row["certification_request"] as Uint8Array);
  const planned = plannedNotification(notify, row["transaction_id"] as string, { der });
  const refusal = new RefusalError(
    "request-rejected",
    "profile.approval",
    "The request was rejected by a person",
  );
  const payload = failurePayload(refusal, planned);
  if (payload !== undefined) notifyFailed(tx, notify, payload, at);
}

function isFull(tx: Transaction): boolean {
  const open = tx.get(
    "SELECT count(*) AS open FROM (SELECT 1 FROM notification WHERE state IN ('planned', 'waiting') LIMIT ?) AS bounded",
    MAX_OPEN,
  );
  return (open?.["open"] as number) >= MAX_OPEN;
}

function insert(
  tx: Transaction,
  of: {
    readonly state: "planned" | "waiting";
    readonly event: NotificationContent["event"];
    readonly target: NotificationTarget;
    readonly payload: { readonly transactionId: string };
    readonly at: number;
  },
): number {
  const { lastInsertRowid } = tx.run(
    `INSERT INTO notification (state, event, target_kind, target_name, transaction_id, payload_json, created_at, next_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    of.state,
    of.event,
    of.target.kind,
    of.target.name,
    of.payload.transactionId,
    JSON.stringify(of.payload),
    of.at,
    of.at,
  );
  return lastInsertRowid;
}

/** Gives the due ones to `owner` until `until`; one whose claim has run out is due as well. */
export function claimNotifications(
  tx: Transaction,
  of: { id?: number | undefined; owner: string; at: number; until: number; max: number },
): ClaimedNotification[] {
  const rows = tx.all(
    `SELECT * FROM notification WHERE state = 'waiting' AND next_at <= ? AND claimed_until <= ?
     AND (id = ? OR ? = 0) ORDER BY next_at LIMIT ?`,
    of.at,
    of.at,
    of.id ?? 0,
    of.id ?? 0,
    of.max,
  );
  for (const row of rows) {
    tx.run(
      "UPDATE notification SET owner = ?, claimed_until = ?, epoch = epoch + 1, attempts = attempts + 1 WHERE id = ?",
      of.owner,
      of.until,
      row["id"] as number,
    );
  }
  return rows.map(claimed);
}

function claimed(row: Row): ClaimedNotification {
  const content = {
    event: row["event"],
    payload: JSON.parse(row["payload_json"] as string),
  } as NotificationContent;
  return {
    ...content,
    id: row["id"] as number,
    target: targetOf(row),
    epoch: (row["epoch"] as number) + 1,
    attempts: (row["attempts"] as number) + 1,
    createdAt: row["created_at"] as number,
  };
}

function targetOf(row: Row): NotificationTarget {
  const kind = row["target_kind"] as NotificationTarget["kind"];
  return { kind, name: row["target_name"] as string };
}

/** Taken: the device may have its certificate. The payload, which holds the challenge, is erased. */
export function notificationAccepted(
  tx: Transaction,
  { id, epoch, at }: { id: number; epoch: number; at: number },
): void {
  const { changes } = tx.run(
    `UPDATE notification SET state = 'accepted', payload_json = NULL, ended_at = ?, last_code = NULL, last_message = NULL
     WHERE id = ? AND epoch = ? AND state = 'waiting'`,
    at,
    id,
    epoch,
  );
  if (changes === 0) return;
  tx.run("UPDATE enrolment SET notification_id = NULL WHERE notification_id = ?", id);
  reportEnd(tx, "notification.accepted", { id, at });
  tx.run(
    `DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE ended_at < ? LIMIT ${MAX_PRUNED})`,
    at - MEMORY_MS,
  );
}

export function notificationDeferred(
  tx: Transaction,
  of: { id: number; epoch: number; nextAt: number; code: string; message: string },
): void {
  tx.run(
    `UPDATE notification SET next_at = ?, claimed_until = 0, owner = NULL, last_code = ?, last_message = ?
     WHERE id = ? AND epoch = ? AND state = 'waiting'`,
    Math.ceil(of.nextAt),
    of.code,
    of.message.slice(0, MAX_TEXT),
    of.id,
    of.epoch,
  );
}

/** Refused for good. Of a success the certificate is revoked by now, and its enrolment has failed. */
export function notificationRefused(
  tx: Transaction,
  of: { id: number; epoch: number; at: number; code: string; rule: string; message: string },
): void {
  const { id, at, code, rule } = of;
  const message = of.message.slice(0, MAX_TEXT);
  const { changes } = tx.run(
    `UPDATE notification SET state = 'refused', payload_json = NULL, ended_at = ?, last_code = ?, last_message = ?
     WHERE id = ? AND epoch = ? AND state = 'waiting'`,
    at,
    code,
    message,
    id,
    of.epoch,
  );
  if (changes === 0) return;
  reportEnd(tx, "notification.refused", { id, at, code });
  const row = tx.get("SELECT * FROM enrolment WHERE notification_id = ?", id);
  if (row === undefined) return;
  reportFailed(tx, {
    transactionId: row["transaction_id"] as string,
    profileId: row["profile_id"] as string,
    deviceId: (row["device_id"] as string | null) ?? undefined,
    code,
    rule,
    message,
    at,
  });
}

function reportEnd(
  tx: Transaction,
  event: "notification.accepted" | "notification.refused",
  { id, at, code }: { readonly id: number; readonly at: number; readonly code?: string },
): void {
  const row = tx.get("SELECT * FROM notification WHERE id = ?", id);
  if (row === undefined) return;
  const payload = {
    notificationId: id,
    transactionId: row["transaction_id"],
    about: row["event"],
    target: `${row["target_kind"]} ${row["target_name"]}`,
    attempts: row["attempts"],
    ...(code !== undefined && { code }),
  };
  recordAudit(tx, { at, event, payload });
}

export function notificationState(tx: Transaction, { id }: { id: number }): NotificationState {
  const state = tx.get("SELECT state FROM notification WHERE id = ?", id)?.["state"];
  if (state === "refused" || state === "accepted") return state;
  return state === undefined ? "accepted" : "waiting";
}

/** An earlier process of this owner is gone: what it had claimed is due at once. */
export function releaseNotifications(tx: Transaction, { owner }: { owner: string }): number {
  return tx.run(
    "UPDATE notification SET claimed_until = 0, owner = NULL, epoch = epoch + 1 WHERE owner = ? AND state = 'waiting'",
    owner,
  ).changes;
}

/** Makes those that wait due now: all, or one. Returns how many. */
export function hurryNotifications(
  tx: Transaction,
  { id, at }: { id?: number | undefined; at: number },
): number {
  return tx.run(
    "UPDATE notification SET next_at = ? WHERE state = 'waiting' AND next_at > ? AND (id = ? OR ? = 0)",
    at,
    at,
    id ?? 0,
    id ?? 0,
  ).changes;
}
