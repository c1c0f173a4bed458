import { ConnectorError } from "@isthmus/shared/errors";
import { MAX_JWS_BYTES } from "@isthmus/shared/link/messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type {
  CancellationOutcome,
  CommandCancellation,
  NewCommand,
  UnsignedCommand,
} from "../core/connector-records.ts";

/** What a command's payload may take so that its JWS (base64url, header, signature, other fields) fits the limit. */
const MAX_COMMAND_BYTES = Math.floor((MAX_JWS_BYTES * 3) / 4) - 8_192;
/** How long the cancelling of a command goes on being delivered. */
const CANCEL_VALIDITY_MS = 86_400_000;

/**
 * Puts a command into the queue of its connector, unsigned. Throws `command-too-large`, `connector-unknown`. The same id again
 * changes nothing. For use inside other operations.
 */
export function insertCommand(transaction: Transaction, command: NewCommand): void {
  const body = JSON.stringify(command.payload);
  const approvals = JSON.stringify(command.approvals ?? []);
  const supersedes = JSON.stringify(command.supersedes ?? []);
  const bytes = Buffer.byteLength(body) + approvals.length + supersedes.length;
  if (bytes > MAX_COMMAND_BYTES) {
    throw new ConnectorError(
      "command-too-large",
      `${command.kind} of ${bytes} bytes exceeds ${MAX_COMMAND_BYTES}`,
    );
  }
  if (transaction.get("SELECT 1 FROM connector WHERE id = ?", command.connectorId) === undefined) {
    throw new ConnectorError("connector-unknown", `there is no connector ${command.connectorId}`);
  }
  transaction.run(
    `INSERT INTO command (id, connector_id, kind, body, supersedes, approvals, state, actor, created_at, not_before,
       expires_at, state_at) VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    command.id,
    command.connectorId,
    command.kind,
    body,
    supersedes,
    approvals,
    command.actor,
    command.now,
    command.notBefore,
    command.expiresAt,
    command.now,
  );
}

/**
 * The oldest unsigned commands, each given its seq in the order of its connector's queue. A command that was handed out and
 * never came back signed is handed out again with the same seq.
 */
function takeUnsignedCommands(
  transaction: Transaction,
  { limit }: { readonly limit: number },
): UnsignedCommand[] {
  const rows = transaction.all(
    `SELECT * FROM command WHERE jws IS NULL AND (state = 'queued' OR seq IS NOT NULL)
     ORDER BY created_at, rowid LIMIT ?`,
    limit,
  );
  return rows.map((row) => unsignedCommand(row, Number(row["seq"] ?? giveSeq(transaction, row))));
}

function giveSeq(transaction: Transaction, row: Row): number {
  const connectorId = String(row["connector_id"]);
  transaction.run("UPDATE connector SET command_seq = command_seq + 1 WHERE id = ?", connectorId);
  const seq = Number(
    transaction.get("SELECT command_seq FROM connector WHERE id = ?", connectorId)?.["command_seq"],
  );
  transaction.run("UPDATE command SET seq = ? WHERE id = ?", seq, String(row["id"]));
  return seq;
}

function unsignedCommand(row: Row, seq: number): UnsignedCommand {
  return {
    id: String(row["id"]),
    connectorId: String(row["connector_id"]),
    seq,
    kind: String(row["kind"]),
    payload: JSON.parse(String(row["body"])),
    supersedes: JSON.parse(String(row["supersedes"])),
    approvals: JSON.parse(String(row["approvals"])),
    actor: String(row["actor"]),
    issuedAt: Number(row["created_at"]),
    notBefore: Number(row["not_before"]),
    expiresAt: Number(row["expires_at"]),
  };
}

/** Keeps the signed form of a command, which its connector may get from now on. */
function storeCommandSignature(
  transaction: Transaction,
  { id, jws }: { readonly id: string; readonly jws: string },
): void {
  transaction.run("UPDATE command SET jws = ? WHERE id = ? AND jws IS NULL", jws, id);
}

/**
 * Ends a command that never left, or queues a signed `command.cancel` for one that has a seq. A command with a seq is
 * delivered all the same, so that the connector sees no hole.
 */
function cancelCommand(
  transaction: Transaction,
  { id, cancelId, actor, now }: CommandCancellation,
): CancellationOutcome {
  const row = transaction.get("SELECT connector_id, seq, state FROM command WHERE id = ?", id);
  if (row === undefined) return "unknown-command";
  if (!["queued", "sent", "accepted", "running"].includes(String(row["state"]))) return "ended";
  if (row["seq"] === null) {
    transaction.run("UPDATE command SET state = 'cancelled', state_at = ? WHERE id = ?", now, id);
    return "withdrawn";
  }
  insertCommand(transaction, {
    id: cancelId,
    connectorId: String(row["connector_id"]),
    kind: "command.cancel",
    payload: {},
    supersedes: [id],
    actor,
    now,
    notBefore: now,
    expiresAt: now + CANCEL_VALIDITY_MS,
  });
  return "requested";
}

/**
 * Ends what time has ended: commands that never left and are past `expires_at` as `expired`, those that left and of which
 * nothing was heard by `expires_at + graceMs` as `unknown`. A result that comes later still overrides either.
 */
function expireCommands(
  transaction: Transaction,
  { now, graceMs }: { readonly now: number; readonly graceMs: number },
): { readonly expired: number } {
  const never = transaction.run(
    `UPDATE command SET state = 'expired', state_at = ? WHERE state = 'queued' AND expires_at < ?`,
    now,
    now,
  );
  const silent = transaction.run(
    `UPDATE command SET state = 'unknown', state_at = ?
     WHERE state IN ('sent', 'accepted', 'running') AND expires_at < ?`,
    now,
    now - graceMs,
  );
  return { expired: never.changes + silent.changes };
}

/** Operations on commands, but for what the link itself does with them. */
export const commandOperations = {
  insertCommand,
  takeUnsignedCommands,
  storeCommandSignature,
  cancelCommand,
  expireCommands,
};
