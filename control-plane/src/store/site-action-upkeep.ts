import { randomUUID } from "node:crypto";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import { insertCommand } from "./command-operations.ts";
import { recordAct } from "./own-audit.ts";
import { withdrawCommand } from "./site-action-cancel.ts";
import { endOpenDevices, setActionState, settleAction } from "./site-action-settle.ts";

/** How long after its expiry, and after anything was heard of it, an action without an end is given up. */
export const SILENCE_MS = 3_600_000;
/** A recovery key that nobody reads is thrown away after this time. */
export const REVEAL_MS = 15 * 60_000;
/** How long what is over stays: rows and output, and what was done to whom. */
export const KEPT_RESULTS_MS = 7 * 86_400_000;
export const KEPT_ACTIONS_MS = 90 * 86_400_000;
/** How long the same Idempotency-Key is answered with the same action. */
export const KEPT_KEYS_MS = 86_400_000;
const AT_ONCE = 100;
const ACTIONS_PRUNED_AT_ONCE = 5;
const ROWS_PRUNED_AT_ONCE = 5_000;

/** Each minute: takes actions along whose lease has moved, ends those that nothing is heard of, throws old results away. */
function maintainSiteActions(
  transaction: Transaction,
  { now }: { readonly now: number },
): { readonly rerouted: number } {
  const rerouted = rerouteActions(transaction, now);
  settleEnded(transaction, now);
  endSilent(transaction, now);
  prune(transaction, now);
  return { rerouted };
}

/**
 * Gives actions whose command never left to the bridge that holds the site's lease now: as soon as it does, and each minute for what
 * was left over then. Their commands are taken back first, so that no two bridges ever have the same action. Where nobody holds the
 * lease they wait, and expire.
 */
export function rerouteActions(transaction: Transaction, now: number): number {
  const rows = transaction.all(
    `SELECT a.id, a.command_id, a.source_id, s.name AS source, s.connector_id AS holder, c.kind, c.body, c.actor, c.expires_at
     FROM site_action a JOIN command c ON c.id = a.command_id JOIN inventory_source s ON s.id = a.source_id
       JOIN connector n ON n.id = s.connector_id AND n.disabled_at IS NULL AND n.quarantined_at IS NULL
     WHERE a.ended_at IS NULL AND a.state = 'queued' AND c.state = 'queued' AND s.lease_until > ?
       AND s.connector_id <> a.connector_id LIMIT ${AT_ONCE}`,
    now,
  );
  return rows.filter((row) => reroute(transaction, row, now)).length;
}

function reroute(transaction: Transaction, row: Row, now: number): boolean {
  const [id, before, holder] = [row["id"], row["command_id"], row["holder"]].map(String);
  const message = `${String(row["source"])} is read by connector ${holder} now`;
  if (!withdrawCommand(transaction, String(before), { code: "lease-moved", message }, now)) {
    return false;
  }
  const commandId = randomUUID();
  insertCommand(transaction, {
    id: commandId,
    connectorId: String(holder),
    kind: String(row["kind"]),
    payload: JSON.parse(String(row["body"])),
    actor: String(row["actor"]),
    now,
    notBefore: now,
    expiresAt: Number(row["expires_at"]),
  });
  transaction.run(
    "UPDATE site_action SET command_id = ?, connector_id = ?, heard_at = ? WHERE id = ?",
    commandId,
    String(holder),
    now,
    String(id),
  );
  const act = { actor: "control-plane", now };
  const details = { id, source: row["source"], commandId, before, connectorId: holder };
  recordAct(transaction, act, AUDIT_EVENTS.siteActionRerouted, details);
  return true;
}

/** Commands also end where no bridge says so: they expire, are refused by the signer, or are forgotten with a restored backup. */
function settleEnded(transaction: Transaction, now: number): void {
  const rows = transaction.all(
    `SELECT a.id FROM site_action a LEFT JOIN command c ON c.id = a.command_id WHERE a.ended_at IS NULL
       AND (c.id IS NULL OR c.state NOT IN ('queued', 'sent', 'accepted', 'running', 'succeeded')) LIMIT ${AT_ONCE}`,
  );
  for (const { id } of rows) settleAction(transaction, String(id), now);
}

function endSilent(transaction: Transaction, now: number): void {
  const rows = transaction.all(
    `SELECT id, heard_at FROM site_action WHERE ended_at IS NULL AND expires_at < ? AND heard_at < ? LIMIT ${AT_ONCE}`,
    now - SILENCE_MS,
    now - SILENCE_MS,
  );
  for (const row of rows) {
    const actionId = String(row["id"]);
    const since = new Date(Number(row["heard_at"])).toISOString();
    const reason = `Nothing was heard of it since ${since}`;
    endOpenDevices(transaction, { actionId, state: "unknown", reason, now });
    if (settleAction(transaction, actionId, now)) continue;
    setActionState(transaction, { actionId, state: "unknown", reason, now });
  }
}

function prune(transaction: Transaction, now: number): void {
  transaction.run(
    "DELETE FROM recovery_key_reveal WHERE sealed IS NOT NULL AND received_at < ?",
    now - REVEAL_MS,
  );
  transaction.run(
    `UPDATE site_action SET request_key = NULL WHERE id IN (
       SELECT id FROM site_action WHERE request_key IS NOT NULL AND requested_at < ? LIMIT 1000)`,
    now - KEPT_KEYS_MS,
  );
  pruneResults(transaction, now);
  transaction.run(
    `DELETE FROM site_action WHERE id IN (
       SELECT id FROM site_action WHERE ended_at < ? AND result_bytes <= 0 LIMIT ${ACTIONS_PRUNED_AT_ONCE})`,
    now - KEPT_ACTIONS_MS,
  );
}

/** The rows of one action may be many: some at a time, and the action is marked once they are all gone. */
function pruneResults(transaction: Transaction, now: number): void {
  const rows = transaction.all(
    `SELECT id FROM site_action WHERE result_bytes > 0 AND ended_at < ? LIMIT ${ACTIONS_PRUNED_AT_ONCE}`,
    now - KEPT_RESULTS_MS,
  );
  for (const row of rows) {
    const id = String(row["id"]);
    const { changes } = transaction.run(
      `DELETE FROM query_row WHERE action_id = ? AND number IN (
         SELECT number FROM query_row WHERE action_id = ? ORDER BY number LIMIT ${ROWS_PRUNED_AT_ONCE})`,
      id,
      id,
    );
    if (changes === ROWS_PRUNED_AT_ONCE) continue;
    transaction.run(
      "UPDATE device_action SET output = NULL WHERE action_id = ? AND output IS NOT NULL",
      id,
    );
    transaction.run("UPDATE site_action SET result_bytes = -1 WHERE id = ?", id);
  }
}

export const siteActionUpkeepOperations = { maintainSiteActions };
