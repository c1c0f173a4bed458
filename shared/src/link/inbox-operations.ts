import { ConnectorError, RefusalError } from "../errors.ts";
import type { Row, Transaction } from "../store/transaction.ts";
import type { Gap } from "./command-lane.ts";
import { adoptCommandSeq, firstGap, noteSeq } from "./command-lane.ts";
import type { CommandResult, CommandState, SignedCommand } from "./messages.ts";
import { MAX_ENTRY_BYTES, RESULT_RETENTION_MS } from "./messages.ts";
import { appendToStream } from "./stream-operations.ts";

/** Own limits: commands without an end, and the least time between two reports of the same result. */
export const MAX_OPEN_COMMANDS = 256;
const REPEAT_INTERVAL_MS = 60_000;
const MAX_PRUNED = 10_000;
/** Room in an entry for what stands around a result. */
const MAX_RESULT_BYTES = MAX_ENTRY_BYTES - 8_192;

/** The stream that command results go up in. */
export const COMMANDS_STREAM = "commands";
/** The one kind that the link does itself. */
const CANCEL_KIND = "command.cancel";

/** What receiving a command led to. */
export interface Receipt {
  /** Only an `accepted` one is new and to be run. */
  readonly outcome: "accepted" | "repeated" | "ended";
  readonly state: CommandState;
  /** Running commands that are asked to stop. */
  readonly toStop: readonly string[];
  /** Seqs that are missing now. */
  readonly gap: Gap | undefined;
}

/** A command that waits for its time, for its turn or for a local approval. */
export interface OpenCommand {
  readonly command: SignedCommand;
  readonly approvedAt: number | undefined;
}

/** Local time for what is written down, the control plane's for expiries. */
interface Times {
  readonly now: number;
  readonly cloudNow: number;
}

/**
 * Takes a verified command into the inbox. A known id changes nothing and reports its stored result again; an expired one,
 * or one whose seq lies where ids may have been forgotten, ends without running. Throws `commands-too-many`.
 */
function receiveCommand(
  transaction: Transaction,
  of: { readonly command: SignedCommand } & Times,
): Receipt {
  const received = receive(transaction, of);
  const row = transaction.get("SELECT state FROM command_inbox WHERE id = ?", of.command.id);
  return { ...received, state: row?.["state"] as CommandState, gap: firstGap(transaction) };
}

type Reception = Pick<Receipt, "outcome" | "toStop">;

function receive(
  transaction: Transaction,
  { command, now, cloudNow }: { readonly command: SignedCommand } & Times,
): Reception {
  const known = transaction.get("SELECT * FROM command_inbox WHERE id = ?", command.id);
  if (known !== undefined) return receiveAgain(transaction, known, command, now);
  checkRoom(transaction);
  const floor = noteSeq(transaction, command.seq, () => insert(transaction, command, now));
  const toStop = supersede(transaction, command, now);
  if (command.expiresAt < cloudNow) {
    endCommand(transaction, command.id, "expired", { now });
    return { outcome: "ended", toStop };
  }
  if (command.seq <= floor) {
    endCommand(transaction, command.id, "unknown", { now });
    return { outcome: "ended", toStop };
  }
  if (command.kind !== CANCEL_KIND) return { outcome: "accepted", toStop };
  endCommand(transaction, command.id, "succeeded", { now });
  return { outcome: "ended", toStop };
}

function receiveAgain(
  transaction: Transaction,
  known: Row,
  command: SignedCommand,
  now: number,
): Reception {
  if (known["seq"] === null) {
    // It was cancelled before it came: from now on it has a place, and its end is told.
    noteSeq(transaction, command.seq, () => {
      transaction.run(
        "UPDATE command_inbox SET seq = ?, kind = ?, command = ? WHERE id = ?",
        command.seq,
        command.kind,
        JSON.stringify(command),
        command.id,
      );
    });
  }
  repeatReport(transaction, known, now);
  return { outcome: "repeated", toStop: [] };
}

/** Tells a stored result again, unless the journal will do that anyway or has just done so. */
function repeatReport(transaction: Transaction, row: Row, now: number): void {
  if (row["result"] === null || Number(row["reported_at"]) > now - REPEAT_INTERVAL_MS) return;
  const pending = transaction.get(
    `SELECT 1 FROM stream_entry JOIN stream ON stream.name = stream_entry.stream
     WHERE position = ? AND stream = ? AND (seq IS NULL OR seq > acked_seq)`,
    Number(row["result_position"]),
    COMMANDS_STREAM,
  );
  if (pending === undefined) {
    report(transaction, JSON.parse(String(row["result"])) as CommandResult, now);
  }
}

function report(transaction: Transaction, result: CommandResult, now: number): void {
  const entry = { stream: COMMANDS_STREAM, at: now, entry: result };
  const { lastInsertRowid: position } = appendToStream(transaction, entry);
  transaction.run(
    "UPDATE command_inbox SET result_position = ?, reported_at = ? WHERE id = ?",
    position,
    now,
    result.id,
  );
}

function checkRoom(transaction: Transaction): void {
  const row = transaction.get(
    "SELECT count(*) AS open FROM command_inbox WHERE state IN ('accepted', 'running')",
  );
  if (Number(row?.["open"]) < MAX_OPEN_COMMANDS) return;
  throw new ConnectorError("commands-too-many", `${MAX_OPEN_COMMANDS} commands are open already`, {
    isRetryable: true,
  });
}

function insert(transaction: Transaction, command: SignedCommand, now: number): void {
  transaction.run(
    `INSERT INTO command_inbox (id, seq, kind, command, state, received_at, not_before, expires_at)
     VALUES (?, ?, ?, ?, 'accepted', ?, ?, ?)`,
    command.id,
    command.seq,
    command.kind,
    JSON.stringify(command),
    now,
    command.notBefore,
    command.expiresAt,
  );
}

/** Cancels what has not begun, also what has not come yet; names what runs if this is a `command.cancel`. */
function supersede(transaction: Transaction, by: SignedCommand, now: number): string[] {
  const running: string[] = [];
  for (const id of by.supersedes) {
    const row = transaction.get("SELECT state FROM command_inbox WHERE id = ?", id);
    if (row === undefined) insertCancelled(transaction, id, by, now);
    else if (row["state"] === "accepted") endCommand(transaction, id, "cancelled", { now });
    else if (row["state"] === "running" && by.kind === CANCEL_KIND) running.push(id);
  }
  return running;
}

function insertCancelled(
  transaction: Transaction,
  id: string,
  by: SignedCommand,
  now: number,
): void {
  transaction.run(
    `INSERT INTO command_inbox (id, kind, command, state, received_at, not_before, expires_at, ended_at)
     VALUES (?, ?, '{}', 'accepted', ?, ?, ?, ?)`,
    id,
    by.kind,
    now,
    by.notBefore,
    by.expiresAt,
    now,
  );
  endCommand(transaction, id, "cancelled", { now });
}

/** How a command ended: its result, or why there is none. */
interface End {
  readonly now: number;
  readonly result?: unknown;
  readonly error?: CommandResult["error"];
}

/** Stores the end and its report in one transaction; a command that has ended already keeps its first end. */
function endCommand(transaction: Transaction, id: string, state: CommandState, end: End): void {
  const { now, result, error } = end;
  const ended: CommandResult = { id, state, endedAt: now, ...(error && { error }) };
  const whole = result === undefined ? ended : { ...ended, result };
  const isTooLarge = Buffer.byteLength(JSON.stringify(whole)) > MAX_RESULT_BYTES;
  const kept: CommandResult = isTooLarge
    ? { ...ended, error: { code: "result-too-large", message: `over ${MAX_RESULT_BYTES} bytes` } }
    : whole;
  const { changes } = transaction.run(
    `UPDATE command_inbox SET state = ?, ended_at = ?, result = ?
     WHERE id = ? AND state IN ('accepted', 'running')`,
    state,
    now,
    JSON.stringify(kept),
    id,
  );
  if (changes > 0) report(transaction, kept, now);
}

/** Stores the intent to run a command. `gone`: it was cancelled or has begun; `expired`: it is too late now. */
function beginCommand(
  transaction: Transaction,
  { id, now, cloudNow }: { readonly id: string } & Times,
): "begun" | "expired" | "gone" {
  const row = transaction.get("SELECT state, expires_at FROM command_inbox WHERE id = ?", id);
  if (row?.["state"] !== "accepted") return "gone";
  if (Number(row["expires_at"]) < cloudNow) {
    endCommand(transaction, id, "expired", { now });
    return "expired";
  }
  transaction.run("UPDATE command_inbox SET state = 'running' WHERE id = ?", id);
  return "begun";
}

/** Stores how a command ended. */
function finishCommand(
  transaction: Transaction,
  { id, state, ...end }: { readonly id: string; readonly state: CommandState } & End,
): void {
  endCommand(transaction, id, state, end);
}

/** Commands in one state, in the order of their seq. */
function openCommands(
  transaction: Transaction,
  { state }: { readonly state: "accepted" | "running" },
): OpenCommand[] {
  return transaction
    .all(
      "SELECT command, approved_at FROM command_inbox WHERE state = ? ORDER BY seq LIMIT ?",
      state,
      MAX_OPEN_COMMANDS,
    )
    .map((row) => ({
      command: JSON.parse(String(row["command"])) as SignedCommand,
      approvedAt: row["approved_at"] === null ? undefined : Number(row["approved_at"]),
    }));
}

/** Notes a local approval. Throws RefusalError `command-not-open`. */
function approveCommand(
  transaction: Transaction,
  { id, now }: { readonly id: string; readonly now: number },
): void {
  const { changes } = transaction.run(
    "UPDATE command_inbox SET approved_at = ? WHERE id = ? AND state = 'accepted'",
    now,
    id,
  );
  if (changes > 0) return;
  throw new RefusalError("command-not-open", "approve", `no command ${id} waits for an approval`);
}

/** Ends a command that has not begun because somebody on the host says no. Throws RefusalError `command-not-open`. */
function denyCommand(
  transaction: Transaction,
  { id, now, reason }: { readonly id: string; readonly now: number; readonly reason: string },
): void {
  const row = transaction.get("SELECT state FROM command_inbox WHERE id = ?", id);
  if (row?.["state"] !== "accepted") {
    throw new RefusalError("command-not-open", "deny", `no command ${id} waits for an approval`);
  }
  endCommand(transaction, id, "refused", {
    now,
    error: { code: "approval-denied", message: reason },
  });
}

/** In a new epoch nobody knows what a command in flight has done since the backup: it is never run again. */
export function forgetInFlight(
  transaction: Transaction,
  { commandSeq, now }: { readonly commandSeq: number; readonly now: number },
): number {
  const rows = transaction.all(
    "SELECT id FROM command_inbox WHERE state IN ('accepted', 'running') LIMIT ?",
    MAX_OPEN_COMMANDS,
  );
  for (const row of rows) endCommand(transaction, String(row["id"]), "unknown", { now });
  adoptCommandSeq(transaction, commandSeq);
  return rows.length;
}

/**
 * Removes results that nobody can ask for any more: past expiry by the retention, and not behind a gap. The floor rises with
 * them, so that their ids stay refused whatever a clock says.
 */
export function pruneInbox(transaction: Transaction, { cloudNow }: Times): void {
  const rows = transaction.all(
    `SELECT id, seq FROM command_inbox WHERE state NOT IN ('accepted', 'running') AND expires_at < ?
       AND (seq IS NULL OR seq <= (SELECT contiguous_seq FROM command_lane)) LIMIT ?`,
    cloudNow - RESULT_RETENTION_MS,
    MAX_PRUNED,
  );
  for (const row of rows) {
    transaction.run("DELETE FROM command_inbox WHERE id = ?", String(row["id"]));
    transaction.run(
      "UPDATE command_lane SET floor_seq = max(floor_seq, ?)",
      Number(row["seq"] ?? 0),
    );
  }
}

/** The down-lane's share of a store. */
export const inboxOperations = {
  receiveCommand,
  beginCommand,
  finishCommand,
  openCommands,
  approveCommand,
  denyCommand,
};
