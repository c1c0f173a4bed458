import {
  type AuditRecord,
  recordAudit as recordInChain,
} from "@isthmus/shared/kernel/audit-operations";
import type { Transaction } from "@isthmus/shared/store/transaction";
import { withMicrosoftEventId } from "../core/microsoft-events.ts";

/** Adds a link to the audit chain, with Microsoft's id of such an event in its payload. */
export function recordAudit(tx: Transaction, { at, event, payload }: AuditRecord): void {
  recordInChain(tx, { at, event, payload: withMicrosoftEventId(event, payload) });
}
