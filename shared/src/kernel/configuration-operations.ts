import type { Migration, Transaction } from "../store/transaction.ts";

export const configurationMigrations: readonly Migration[] = [
  {
    id: "kernel-3-configuration",
    sql: `
      CREATE TABLE kept_configuration (
        source TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        document TEXT NOT NULL,
        applied_at INTEGER NOT NULL
      ) STRICT;
    `,
  },
];

/** The last desired configuration that a service applied, with all that is needed to apply it again. */
export interface KeptConfiguration {
  /** The connector's id, or `standalone`: another enrolment counts its versions anew. */
  readonly source: string;
  readonly version: number;
  /** The compact JWS, or in standalone mode the file's text. */
  readonly document: string;
  readonly appliedAt: number;
}

/** Keeps the configuration that was just applied in place of the one before it. */
export function keepConfiguration(transaction: Transaction, kept: KeptConfiguration): void {
  transaction.run(
    `INSERT INTO kept_configuration (source, version, document, applied_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (source) DO UPDATE SET
       version = excluded.version, document = excluded.document, applied_at = excluded.applied_at`,
    kept.source,
    kept.version,
    kept.document,
    kept.appliedAt,
  );
}

/** The last good configuration from `source`, or undefined. */
export function keptConfiguration(
  transaction: Transaction,
  source: string,
): KeptConfiguration | undefined {
  const row = transaction.get(
    "SELECT version, document, applied_at FROM kept_configuration WHERE source = ?",
    source,
  );
  return (
    row && {
      source,
      version: Number(row["version"]),
      document: String(row["document"]),
      appliedAt: Number(row["applied_at"]),
    }
  );
}
