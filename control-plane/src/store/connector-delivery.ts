import type { CommandWait } from "@isthmus/shared/link/messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type {
  CommandProgress,
  ConfigurationReport,
  DeliveryRequest,
  GapAnswer,
  GapRequest,
  SignedDelivery,
  SignedDesiredConfiguration,
} from "../core/link-records.ts";
import { checkSession } from "./connector-sessions.ts";
import { settleAction } from "./site-action-settle.ts";
import { judgeTunnelServer } from "./tunnel-health-operations.ts";

/** Own limit, below the one that connectors have (256): commands without an end at one connector. */
const MAX_OPEN_COMMANDS = 200;

/**
 * The next commands for a connector in the order of their seq, marked as sent: those without an end that were sent before
 * (the connection may have been lost with them), then all that never were, ended or not, so that it sees no hole. Stops
 * before a command that waits for its signature.
 */
function takeDeliveries(transaction: Transaction, request: DeliveryRequest): SignedDelivery[] {
  const { connectorId, afterSeq, limit, now } = request;
  const sent = Number(checkSession(transaction, request)["command_seq_sent"]);
  const again = transaction.all(
    `SELECT id, seq, jws FROM command WHERE connector_id = ? AND seq > ? AND seq <= ?
       AND state IN ('queued', 'sent', 'accepted', 'running') ORDER BY seq LIMIT ?`,
    connectorId,
    afterSeq,
    sent,
    limit,
  );
  const fresh = transaction.all(
    "SELECT id, seq, jws FROM command WHERE connector_id = ? AND seq > ? ORDER BY seq LIMIT ?",
    connectorId,
    Math.max(afterSeq, sent),
    Math.min(limit - again.length, roomFor(transaction, connectorId)),
  );
  const deliveries = signedOf([...again, ...fresh]);
  for (const { id } of deliveries) {
    transaction.run(
      "UPDATE command SET state = 'sent', state_at = ? WHERE id = ? AND state = 'queued'",
      now,
      id,
    );
  }
  raiseSent(transaction, connectorId, deliveries.at(-1)?.seq ?? 0);
  return deliveries;
}

/** How many more commands may be open at a connector. */
function roomFor(transaction: Transaction, connectorId: string): number {
  const row = transaction.get(
    `SELECT count(*) AS open FROM command
     WHERE connector_id = ? AND state IN ('queued', 'sent', 'accepted', 'running') AND seq <= (SELECT command_seq_sent FROM connector WHERE id = ?)`,
    connectorId,
    connectorId,
  );
  return Math.max(0, MAX_OPEN_COMMANDS - Number(row?.["open"]));
}

function signedOf(rows: readonly Row[]): SignedDelivery[] {
  const end = rows.findIndex((row) => row["jws"] === null);
  return (end === -1 ? rows : rows.slice(0, end)).map((row) => ({
    id: String(row["id"]),
    seq: Number(row["seq"]),
    jws: String(row["jws"]),
  }));
}

function raiseSent(transaction: Transaction, connectorId: string, seq: number): void {
  transaction.run(
    "UPDATE connector SET command_seq_sent = ? WHERE id = ? AND command_seq_sent < ?",
    seq,
    connectorId,
    seq,
  );
}

/** What a connector missed: the commands of `from`..`to` whatever their state, and the seqs that no command has. */
function answerGap(transaction: Transaction, request: GapRequest): GapAnswer {
  const row = checkSession(transaction, request);
  const to = Math.min(request.to, Number(row["command_seq_sent"]));
  const deliveries = signedOf(
    transaction.all(
      "SELECT id, seq, jws FROM command WHERE connector_id = ? AND seq >= ? AND seq <= ? ORDER BY seq LIMIT ?",
      request.connectorId,
      request.from,
      to,
      request.limit,
    ),
  );
  const isWhole = deliveries.length < request.limit;
  const last = isWhole ? to : (deliveries.at(-1)?.seq ?? to);
  return {
    deliveries,
    voids: holesIn(deliveries, request.from, last),
    restFrom: isWhole || last >= to ? undefined : last + 1,
  };
}

function holesIn(deliveries: readonly SignedDelivery[], from: number, to: number) {
  const holes: { from: number; to: number }[] = [];
  let expected = from;
  for (const { seq } of [...deliveries, { seq: to + 1 }]) {
    if (seq > expected) holes.push({ from: expected, to: seq - 1 });
    expected = seq + 1;
  }
  return holes;
}

/** Notes what a connector says of a command on its way. */
function noteCommandProgress(transaction: Transaction, progress: CommandProgress): void {
  checkSession(transaction, progress);
  const { state, id, connectorId, waitsFor, now } = progress;
  raiseSeen(transaction, connectorId, id);
  if (state !== "accepted" && state !== "running") return;
  const before = state === "accepted" ? "('queued', 'sent')" : "('queued', 'sent', 'accepted')";
  transaction.run(
    `UPDATE command SET state = ?, state_at = ? WHERE id = ? AND connector_id = ? AND state IN ${before}`,
    state,
    now,
    id,
    connectorId,
  );
  noteWait(transaction, { id, connectorId, wait: state === "accepted" ? waitsFor : null });
  const action = transaction.get("SELECT id FROM site_action WHERE command_id = ?", id);
  if (action !== undefined) settleAction(transaction, String(action["id"]), now);
}

/** A receipt says nothing of a wait: it stays until the command runs. */
function noteWait(
  transaction: Transaction,
  of: {
    readonly id: string;
    readonly connectorId: string;
    readonly wait: CommandWait | null | undefined;
  },
): void {
  if (of.wait === undefined) return;
  transaction.run(
    "UPDATE command SET waits_for = ? WHERE id = ? AND connector_id = ? AND state IN ('accepted', 'running')",
    of.wait === null ? null : JSON.stringify(of.wait),
    of.id,
    of.connectorId,
  );
}

/** A connector that speaks of a command has it in its store. For use inside other operations. */
export function raiseSeen(transaction: Transaction, connectorId: string, id: string): void {
  transaction.run(
    `UPDATE connector SET command_seq_seen = max(command_seq_seen,
       coalesce((SELECT seq FROM command WHERE id = ? AND connector_id = ?), 0)) WHERE id = ?`,
    id,
    connectorId,
    connectorId,
  );
}

/** The newest signed configuration of a connector above `version`; undefined when there is none. */
function configurationAfter(
  transaction: Transaction,
  { connectorId, version }: { readonly connectorId: string; readonly version: number },
): SignedDesiredConfiguration | undefined {
  const row = transaction.get(
    `SELECT version, jws FROM desired_configuration
     WHERE connector_id = ? AND version > ? AND jws IS NOT NULL ORDER BY version DESC LIMIT 1`,
    connectorId,
    version,
  );
  return row && { version: Number(row["version"]), jws: String(row["jws"]) };
}

/** Keeps whether a configuration was applied, or why not. */
function storeConfigurationReport(transaction: Transaction, report: ConfigurationReport): void {
  checkSession(transaction, report);
  const { connectorId, version, error, now } = report;
  if (error === undefined) {
    transaction.run(
      "UPDATE connector SET configuration_version_applied = ?, configuration_error = NULL WHERE id = ?",
      version,
      connectorId,
    );
  } else {
    transaction.run(
      "UPDATE connector SET configuration_error = ? WHERE id = ?",
      JSON.stringify({ version, ...error }),
      connectorId,
    );
  }
  judgeTunnelServer(transaction, { connectorId, now });
}

/** Connectors that have signed commands waiting which were never sent: a wake-up may have been lost. */
function connectorsWithMail(
  transaction: Transaction,
  { limit }: { readonly limit: number },
): string[] {
  const rows = transaction.all(
    `SELECT DISTINCT connector_id FROM command
     WHERE state IN ('queued', 'sent', 'accepted', 'running') AND state = 'queued' AND jws IS NOT NULL LIMIT ?`,
    limit,
  );
  return rows.map((row) => String(row["connector_id"]));
}

/** What goes down to connectors, and what they say of it. */
export const deliveryOperations = {
  takeDeliveries,
  answerGap,
  noteCommandProgress,
  configurationAfter,
  storeConfigurationReport,
  connectorsWithMail,
};
