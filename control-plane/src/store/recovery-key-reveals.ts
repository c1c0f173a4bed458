import { ConnectorError } from "@isthmus/shared/errors";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { Act } from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import { sealFor } from "../core/recovery-key-seal.ts";
import { recordAct } from "./own-audit.ts";

/**
 * Recovery keys between the bridge and who asked for them. The plain text is never stored: it is sealed in the transaction in which it
 * comes, and thrown away in the one in which it is read.
 */

/** What stands in the command's row in place of the keys. */
const IN_PLACE = { isSealed: true };

/**
 * Takes the keys out of the result of a command, however that ended, and answers what may be kept with the command. The result of
 * another command is answered as it is.
 */
export function takeRecoveryKeys(
  transaction: Transaction,
  of: { readonly commandId: string; readonly connectorId: string; readonly result: unknown },
  now: number,
): unknown {
  const { commandId, connectorId, result } = of;
  const command = transaction.get(
    "SELECT kind FROM command WHERE id = ? AND connector_id = ?",
    commandId,
    connectorId,
  );
  if (command?.["kind"] !== "site.recovery-key" || result === undefined) return result;
  const reveal = transaction.get(
    `SELECT r.action_id, r.public_key FROM recovery_key_reveal r JOIN site_action a ON a.id = r.action_id
     WHERE a.command_id = ? AND r.received_at IS NULL`,
    commandId,
  );
  if (reveal !== undefined) {
    transaction.run(
      "UPDATE recovery_key_reveal SET sealed = ?, received_at = ? WHERE action_id = ?",
      sealFor(String(reveal["public_key"]), result),
      now,
      String(reveal["action_id"]),
    );
  }
  return IN_PLACE;
}

/**
 * Hands the sealed keys out, once, to who asked for them and has the secret. Throws `recovery-key-unknown`, `forbidden`,
 * `reveal-secret-invalid`, and `recovery-key-pending` where the bridge has not answered yet.
 */
function takeRevealedKey(
  transaction: Transaction,
  { id, publicKey, ...act }: Act & { readonly id: string; readonly publicKey: string },
): { readonly sealed: string } {
  const row = transaction.get(
    `SELECT r.public_key, r.sealed, a.actor, a.ended_at, a.target, a.state, s.name AS source FROM recovery_key_reveal r
       JOIN site_action a ON a.id = r.action_id JOIN inventory_source s ON s.id = a.source_id WHERE r.action_id = ?`,
    id,
  );
  if (row === undefined) throw gone(id);
  if (row["actor"] !== act.actor) {
    throw new ConnectorError("forbidden", "Only who asked for a recovery key may read it");
  }
  if (row["public_key"] !== publicKey) {
    throw new ConnectorError("reveal-secret-invalid", "The secret is not the one of this reveal");
  }
  if (row["sealed"] === null) throw row["ended_at"] === null ? pending(id) : gone(id);
  transaction.run("DELETE FROM recovery_key_reveal WHERE action_id = ?", id);
  const details = { id, source: row["source"], target: JSON.parse(String(row["target"])) };
  recordAct(transaction, act, AUDIT_EVENTS.recoveryKeyRead, details);
  return { sealed: String(row["sealed"]) };
}

function gone(id: string): ConnectorError {
  const message = `There is no recovery key under ${id.slice(0, 64)}: it was read, was not read in time, or never came`;
  return new ConnectorError("recovery-key-unknown", message);
}

function pending(id: string): ConnectorError {
  return new ConnectorError("recovery-key-pending", `The bridge has not answered ${id} yet`);
}

export const recoveryKeyOperations = { takeRevealedKey };
