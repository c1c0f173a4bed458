import { recordAudit } from "@isthmus/shared/kernel/audit-operations";
import type { Migration, Operations, Transaction } from "@isthmus/shared/store/transaction";
import type { KeptList } from "../core/ports.ts";

/** The last verified list of each issuer, so that a restart knows what was revoked while the source is away. */
export const revocationMigrations: readonly Migration[] = [
  {
    id: "tunnel-gateway-2-certificate-lists",
    sql: `
      CREATE TABLE certificate_list (
        issuer_id TEXT PRIMARY KEY,
        anchor TEXT NOT NULL,
        der BLOB NOT NULL,
        confirmed_at INTEGER NOT NULL
      ) STRICT;
    `,
  },
];

/** Our own: issuers whose lists are kept. */
const MAX_LISTS = 1_000;

export const revocationOperations = {
  /** Keeps a list in place of the issuer's former one. */
  putList(
    transaction: Transaction,
    list: KeptList & { readonly number: string; readonly entries: number },
  ): void {
    const { issuerId, anchor, der, confirmedAt, number, entries } = list;
    transaction.run(
      "INSERT OR REPLACE INTO certificate_list (issuer_id, anchor, der, confirmed_at) VALUES (?, ?, ?, ?)",
      issuerId,
      anchor,
      der,
      confirmedAt,
    );
    const payload = { anchor, issuerId, number, entries };
    recordAudit(transaction, { at: confirmedAt, event: "revocation.list-replaced", payload });
  },

  /** Notes that the source served the same list again. */
  confirmList(
    transaction: Transaction,
    of: { readonly issuerId: string; readonly confirmedAt: number },
  ): void {
    transaction.run(
      "UPDATE certificate_list SET confirmed_at = ? WHERE issuer_id = ?",
      of.confirmedAt,
      of.issuerId,
    );
  },

  storedLists(transaction: Transaction): KeptList[] {
    return transaction.all("SELECT * FROM certificate_list LIMIT ?", MAX_LISTS).map((row) => ({
      issuerId: String(row["issuer_id"]),
      anchor: String(row["anchor"]),
      der: row["der"] as Uint8Array,
      confirmedAt: Number(row["confirmed_at"]),
    }));
  },
} satisfies Operations;
