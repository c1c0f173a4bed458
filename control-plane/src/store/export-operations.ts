import type { Transaction } from "@isthmus/shared/store/transaction";
import type { ExportAct } from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import { recordAct } from "./own-audit.ts";

/** Before the first line of it leaves. */
function recordExport(transaction: Transaction, act: ExportAct): void {
  recordAct(transaction, act, AUDIT_EVENTS.inventoryExported, { path: act.path, query: act.query });
}

/** What is written down of whole lists that are carried away. */
export const exportOperations = { recordExport };
