import type { Store } from "@isthmus/shared/store/store";
import type { Row } from "@isthmus/shared/store/transaction";
import {
  type LedgerTrace,
  type NotificationTrace,
  type TransactionTrace,
  transactionTrace,
} from "../core/trace-view.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { tracedMessage } from "../store/trace-operations.ts";

/** Own limits on one answer. */
const MAX_TRANSACTIONS = 10;
const MAX_MESSAGES = 50;
const MAX_NOTIFICATIONS = 10;

/** What is known; with several, whatever any of them finds. */
export interface TraceQuestion {
  readonly transactionId?: string | undefined;
  readonly deviceId?: string | undefined;
  readonly serialNumber?: string | undefined;
}

type Reading = Pick<Store<CertificateOperations>, "query">;

/** The newest transactions of a device, of a certificate or with an id; empty where nothing is known. */
export async function traceOf(
  store: Reading,
  question: TraceQuestion,
): Promise<readonly TransactionTrace[]> {
  const rows = await enrolments(store, question);
  const ids = [
    ...rows.map((row) => row["transaction_id"] as string),
    ...(await otherTransactions(store, question)),
  ];
  const traces: TransactionTrace[] = [];
  for (const id of [...new Set(ids)].slice(0, MAX_TRANSACTIONS)) {
    traces.push(await oneTransaction(store, id, rows));
  }
  return traces
    .filter(({ events }) => events.length > 0)
    .toSorted((one, other) => lastTime(other) - lastTime(one));
}

async function enrolments(store: Reading, question: TraceQuestion): Promise<Row[]> {
  const { transactionId, deviceId, serialNumber } = question;
  const select = (where: string, value: string | undefined) =>
    value === undefined
      ? []
      : store.query<Row>(
          `SELECT * FROM enrolment WHERE ${where} ORDER BY id DESC LIMIT ${MAX_TRANSACTIONS}`,
          [value],
          MAX_TRANSACTIONS,
        );
  const found = await Promise.all([
    select("transaction_id = ? AND is_current = 1", transactionId),
    select("device_id = ?", deviceId),
    select("serial_number = ?", serialNumber),
    select("planned_serial_number = ?", serialNumber),
  ]);
  return found.flat();
}

/** Those that came to no enrolment. */
async function otherTransactions(
  store: Reading,
  { transactionId, deviceId }: TraceQuestion,
): Promise<string[]> {
  const given = transactionId === undefined ? [] : [transactionId];
  if (deviceId === undefined) return given;
  const rows = await store.query<Row>(
    `SELECT transaction_id FROM trace_message WHERE device_id = ? ORDER BY id DESC LIMIT ${MAX_TRANSACTIONS}`,
    [deviceId],
    MAX_TRANSACTIONS,
  );
  return [...given, ...rows.map((row) => row["transaction_id"] as string)];
}

async function oneTransaction(
  store: Reading,
  transactionId: string,
  enrolled: readonly Row[],
): Promise<TransactionTrace> {
  const row =
    enrolled.find((each) => each["transaction_id"] === transactionId) ??
    (await enrolments(store, { transactionId }))[0];
  const messages = await store.query<Row>(
    `SELECT * FROM trace_message WHERE transaction_id = ? ORDER BY id DESC LIMIT ${MAX_MESSAGES}`,
    [transactionId],
    MAX_MESSAGES,
  );
  const notifications = await store.query<Row>(
    `SELECT * FROM notification WHERE transaction_id = ? ORDER BY id DESC LIMIT ${MAX_NOTIFICATIONS}`,
    [transactionId],
    MAX_NOTIFICATIONS,
  );
  return transactionTrace({
    transactionId,
    messages: messages.reverse().map(tracedMessage),
    ledger: row && ledgerTrace(row),
    notifications: notifications.reverse().map(notificationTrace),
  });
}

function lastTime({ events }: TransactionTrace): number {
  return events.at(-1)?.at ?? 0;
}

function ledgerTrace(row: Row): LedgerTrace {
  return {
    state: row["state"] as string,
    profileId: row["profile_id"] as string,
    subject: row["subject"] as string,
    requestedAt: row["requested_at"] as number,
    ...present(row, {
      deviceId: "device_id",
      serialNumber: "serial_number",
      issuer: "issuer",
      authority: "authority",
      decidedBy: "decided_by",
      intentAt: "intent_at",
      askedAt: "asked_at",
      issuedAt: "issued_at",
      revokedAt: "revoked_at",
      revocationReason: "revocation_reason",
    }),
  };
}

function notificationTrace(row: Row): NotificationTrace {
  return {
    event: row["event"] as string,
    target: `${row["target_kind"]} ${row["target_name"]}`,
    state: row["state"] as string,
    attempts: row["attempts"] as number,
    createdAt: row["created_at"] as number,
    ...present(row, { endedAt: "ended_at", code: "last_code", message: "last_message" }),
  };
}

/** The columns that hold something, by the names that they have outside. */
function present(row: Row, columns: Readonly<Record<string, string>>): Record<string, never> {
  const entries = Object.entries(columns).map(([name, column]) => [name, row[column]] as const);
  return Object.fromEntries(
    entries.filter(([, value]) => value !== null && value !== undefined),
  ) as never;
}
