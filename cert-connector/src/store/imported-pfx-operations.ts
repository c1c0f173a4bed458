import type { ImportedPfx } from "@isthmus/shared/link/messages";
import type { Migration, Row, Transaction } from "@isthmus/shared/store/transaction";
import { recordAudit } from "./audit.ts";

/** PFX files of users that were imported on this host, as encrypted as they came. */
export const importedPfxMigrations: readonly Migration[] = [
  {
    id: "imported-pfx-1",
    sql: `
      CREATE TABLE imported_pfx (
        user_principal_name TEXT NOT NULL,
        thumbprint TEXT NOT NULL,
        intended_purpose TEXT NOT NULL,
        not_after INTEGER NOT NULL,
        record TEXT NOT NULL,
        imported_at INTEGER NOT NULL,
        PRIMARY KEY (user_principal_name, thumbprint)
      ) STRICT;
    `,
  },
];

export interface StoredPfx {
  readonly record: ImportedPfx;
  readonly intendedPurpose: string;
  readonly notAfter: number;
}

/** Keeps a record, in place of an older one of the same user and certificate. */
export function storeImportedPfx(
  tx: Transaction,
  { record, intendedPurpose, notAfter, at }: StoredPfx & { readonly at: number },
): void {
  const { thumbprint } = record;
  const user = record.userPrincipalName.toLowerCase();
  tx.run(
    `INSERT INTO imported_pfx (user_principal_name, thumbprint, intended_purpose, not_after, record, imported_at)
     VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (user_principal_name, thumbprint) DO UPDATE SET intended_purpose = excluded.intended_purpose,
       not_after = excluded.not_after, record = excluded.record, imported_at = excluded.imported_at`,
    user,
    thumbprint,
    intendedPurpose,
    notAfter,
    JSON.stringify(record),
    at,
  );
  const payload = { userPrincipalName: record.userPrincipalName, thumbprint, intendedPurpose };
  recordAudit(tx, { at, event: "pfx.imported", payload });
}

/** Whether there was such a record. */
export function removeImportedPfx(
  tx: Transaction,
  of: { readonly userPrincipalName: string; readonly thumbprint: string; readonly at: number },
): boolean {
  const { changes } = tx.run(
    "DELETE FROM imported_pfx WHERE user_principal_name = ? AND thumbprint = ?",
    of.userPrincipalName.toLowerCase(),
    of.thumbprint,
  );
  if (changes === 0) return false;
  const { userPrincipalName, thumbprint, at } = of;
  recordAudit(tx, { at, event: "pfx.removed", payload: { userPrincipalName, thumbprint } });
  return true;
}

/** A row of `imported_pfx` that this code wrote. */
export function storedPfx(row: Row): StoredPfx {
  return {
    record: JSON.parse(row["record"] as string) as ImportedPfx,
    intendedPurpose: row["intended_purpose"] as string,
    notAfter: row["not_after"] as number,
  };
}
