import { appendAudit } from "@isthmus/shared/kernel/audit-operations";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { Act } from "../core/admin-records.ts";
import type { AuditEvent } from "../core/audit-events.ts";

/** Appends what an administrator does to the control plane's own chain, in the transaction that does it. */
export function recordAct(
  transaction: Transaction,
  { actor, now }: Act,
  event: AuditEvent,
  details: Readonly<Record<string, unknown>>,
): void {
  appendAudit(transaction, { at: now, event, payload: { actor, ...details } });
}
