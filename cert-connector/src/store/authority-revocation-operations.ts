import type { Migration, Row, Transaction } from "@isthmus/shared/store/transaction";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import type {
  AuthorityRevocation,
  ClaimedAuthorityRevocation,
} from "../core/authority-revocation.ts";
import { recordAudit } from "./audit.ts";

/** Revocations that remote authorities have to be told of. */
export const authorityRevocationMigrations: readonly Migration[] = [
  {
    id: "authority-revocation-1",
    sql: `
      CREATE TABLE authority_revocation (
        id INTEGER PRIMARY KEY,
        authority TEXT NOT NULL,
        serial_number TEXT NOT NULL,
        certificate BLOB NOT NULL,
        not_after INTEGER NOT NULL,
        reason TEXT NOT NULL,
        ordered_at INTEGER NOT NULL,
        next_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        last_message TEXT,
        failed_at INTEGER
      ) STRICT;
      CREATE UNIQUE INDEX authority_revocation_by_certificate
        ON authority_revocation (authority, serial_number);
      CREATE INDEX authority_revocation_due
        ON authority_revocation (next_at) WHERE failed_at IS NULL;
    `,
  },
];

/** Whoever ordered it tells the authority at once; after this long it is for the one who looks for what is due. */
const FIRST_GO_MS = 30_000;
/** Our own limits. */
const MAX_PRUNED = 50;
const MAX_TEXT = 500;

/** Part of the transaction that decides a revocation. Ordered twice it is one. */
export function orderAuthorityRevocation(
  tx: Transaction,
  of: AuthorityRevocation,
  at: number,
): void {
  tx.run(
    `INSERT INTO authority_revocation (authority, serial_number, certificate, not_after, reason, ordered_at, next_at)
     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (authority, serial_number) DO NOTHING`,
    of.authority,
    of.serialNumber,
    of.certificate,
    of.notAfter,
    of.reason,
    at,
    at + FIRST_GO_MS,
  );
}

/** What is due, or the one that is asked for, reserved until `until`. Expired certificates are let go. */
export function claimAuthorityRevocations(
  tx: Transaction,
  of: {
    readonly at: number;
    readonly until: number;
    readonly limit: number;
    readonly only?: Pick<AuthorityRevocation, "authority" | "serialNumber">;
  },
): ClaimedAuthorityRevocation[] {
  const { at, until, limit, only } = of;
  tx.run(
    `DELETE FROM authority_revocation WHERE id IN
       (SELECT id FROM authority_revocation WHERE not_after < ? LIMIT ${MAX_PRUNED})`,
    at,
  );
  const rows =
    only === undefined
      ? tx.all(
          `SELECT * FROM authority_revocation WHERE failed_at IS NULL AND next_at <= ? ORDER BY next_at LIMIT ?`,
          at,
          limit,
        )
      : tx.all(
          `SELECT * FROM authority_revocation WHERE failed_at IS NULL AND authority = ? AND serial_number = ? LIMIT ?`,
          only.authority,
          only.serialNumber,
          limit,
        );
  for (const row of rows) {
    tx.run("UPDATE authority_revocation SET next_at = ? WHERE id = ?", until, row["id"] as number);
  }
  return rows.map(claimed);
}

function claimed(row: Row): ClaimedAuthorityRevocation {
  return {
    id: row["id"] as number,
    authority: row["authority"] as string,
    serialNumber: row["serial_number"] as string,
    certificate: row["certificate"] as Uint8Array,
    notAfter: row["not_after"] as number,
    reason: row["reason"] as RevocationReason,
    attempts: row["attempts"] as number,
  };
}

/** The authority has revoked it. */
export function authorityRevocationDone(
  tx: Transaction,
  { id, at }: { readonly id: number; readonly at: number },
): void {
  const row = tx.get("SELECT * FROM authority_revocation WHERE id = ?", id);
  if (row === undefined) return;
  tx.run("DELETE FROM authority_revocation WHERE id = ?", id);
  recordAudit(tx, { at, event: "authority.revoked", payload: aboutRow(row) });
}

/** It could not be done now; with `nextAt` undefined never, by us. */
export function authorityRevocationDeferred(
  tx: Transaction,
  of: {
    readonly id: number;
    readonly at: number;
    readonly nextAt: number | undefined;
    readonly message: string;
  },
): void {
  const { id, at, nextAt } = of;
  const message = of.message.slice(0, MAX_TEXT);
  const row = tx.get("SELECT * FROM authority_revocation WHERE id = ?", id);
  if (row === undefined) return;
  tx.run(
    `UPDATE authority_revocation SET attempts = attempts + 1, last_message = ?, next_at = ?, failed_at = ? WHERE id = ?`,
    message,
    nextAt ?? at,
    nextAt === undefined ? at : null,
    id,
  );
  if (nextAt !== undefined) return;
  recordAudit(tx, {
    at,
    event: "authority.revocation-by-hand",
    payload: { ...aboutRow(row), message },
  });
}

function aboutRow(row: Row) {
  return {
    authority: row["authority"] as string,
    serialNumber: row["serial_number"] as string,
    reason: row["reason"] as string,
  };
}
