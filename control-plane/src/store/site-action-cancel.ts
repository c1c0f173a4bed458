import { ConnectorError } from "@isthmus/shared/errors";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import { isActionEnded, type SiteActionState } from "../core/site-action.ts";
import type { SiteActionCancellation, SiteActionCancelled } from "../core/site-action-records.ts";
import { commandOperations, insertCommand } from "./command-operations.ts";
import { recordAct } from "./own-audit.ts";
import { actionOfSite } from "./site-action-operations.ts";
import { endOpenDevices, setActionState } from "./site-action-settle.ts";

const CANCEL_VALIDITY_MS = 86_400_000;

/**
 * Ends an action: by itself where its command never left, by asking the bridge where it did. Throws `site-action-unknown`,
 * `site-action-ended`, `forbidden`.
 */
function cancelSiteAction(
  transaction: Transaction,
  cancellation: SiteActionCancellation,
): SiteActionCancelled {
  const row = actionOfSite(transaction, cancellation);
  const { id, actor, mayCancelOthers } = cancellation;
  if (row["actor"] !== actor && !mayCancelOthers) {
    throw new ConnectorError("forbidden", "This action was asked for by somebody else");
  }
  if (isActionEnded(row["state"] as SiteActionState)) {
    throw new ConnectorError("site-action-ended", `Action ${id} has ended already`);
  }
  const outcome = cancelled(transaction, row, cancellation);
  const details = { id, source: row["source"], action: row["action"], outcome };
  recordAct(transaction, cancellation, AUDIT_EVENTS.siteActionCancelled, details);
  return outcome;
}

function cancelled(
  transaction: Transaction,
  row: Row,
  { id, cancelId, actor, now }: SiteActionCancellation,
): SiteActionCancelled {
  const commandId = String(row["command_id"]);
  const reason = `Cancelled by ${actor}`;
  if (withdrawCommand(transaction, commandId, { code: "cancelled", message: reason }, now)) {
    endOpenDevices(transaction, { actionId: id, state: "cancelled", reason, now });
    setActionState(transaction, { actionId: id, state: "cancelled", reason, now });
    return "withdrawn";
  }
  const outcome = commandOperations.cancelCommand(transaction, {
    id: commandId,
    cancelId,
    actor,
    now,
  });
  if (outcome === "requested") return outcome;
  // Its result is there, its devices go on: the bridge that knows the operation ends it.
  insertCommand(transaction, {
    id: cancelId,
    connectorId: String(row["connector_id"]),
    kind: "site.cancel",
    payload: { source: String(row["source"]), commandId },
    actor,
    now,
    notBefore: now,
    expiresAt: now + CANCEL_VALIDITY_MS,
  });
  return "requested";
}

/**
 * Takes a command back that was never handed to its connector, signed or not; answers whether that could be done. It gives its seq up,
 * so that nothing is delivered in its place: the connector is told that no command has it.
 */
export function withdrawCommand(
  transaction: Transaction,
  id: string,
  error: { readonly code: string; readonly message: string },
  now: number,
): boolean {
  const { changes } = transaction.run(
    `UPDATE command SET state = 'cancelled', state_at = ?, seq = NULL, error = ? WHERE id = ? AND state = 'queued'
       AND (seq IS NULL OR seq > (SELECT command_seq_sent FROM connector WHERE id = command.connector_id))`,
    now,
    JSON.stringify(error),
    id,
  );
  return changes > 0;
}

export const siteActionCancelOperations = { cancelSiteAction };
