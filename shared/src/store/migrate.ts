import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { ConnectorError } from "../errors.ts";
import type { Migration } from "./transaction.ts";

const SCHEMA = `CREATE TABLE IF NOT EXISTS schema_migration (
  id TEXT PRIMARY KEY,
  sha256 TEXT NOT NULL,
  applied_at INTEGER NOT NULL
) STRICT`;

/**
 * Applies, in one transaction, every migration that this database has not seen.
 *
 * @throws ConnectorError `store-schema-newer` where the database holds a migration that the code does not know,
 * `store-schema-changed` where an applied migration was edited, `store-migration-twice` where two have one id.
 */
export function migrate(
  database: DatabaseSync,
  file: string,
  migrations: readonly Migration[],
  now: number,
): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    applyMissing(database, file, migrations, now);
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** Checks, without writing, that the database has exactly the schema that the code expects. */
export function requireMigrated(
  database: DatabaseSync,
  file: string,
  migrations: readonly Migration[],
): void {
  const applied = appliedMigrations(database);
  refuseUnknown(applied, file, migrations);
  const missing = migrations.find(({ id }) => !applied.has(id));
  if (missing === undefined) return;
  throw new ConnectorError(
    "store-schema-older",
    `store ${file} lacks migration ${missing.id}: start the service once, which applies it`,
  );
}

function applyMissing(
  database: DatabaseSync,
  file: string,
  migrations: readonly Migration[],
  now: number,
): void {
  database.exec(SCHEMA);
  const applied = appliedMigrations(database);
  refuseUnknown(applied, file, migrations);
  const insert = database.prepare("INSERT INTO schema_migration VALUES (?, ?, ?)");
  for (const migration of migrations) {
    const { id, sql } = migration;
    const sha256 = hashOfMigration(migration);
    const known = applied.get(id);
    if (known === undefined) {
      database.exec(sql);
      insert.run(id, sha256, now);
      applied.set(id, sha256);
    } else if (known !== sha256) {
      throw new ConnectorError(
        "store-schema-changed",
        `store ${file}: migration ${id} differs from the one that was applied; migrations are never edited`,
      );
    }
  }
}

function refuseUnknown(
  applied: ReadonlyMap<string, string>,
  file: string,
  migrations: readonly Migration[],
): void {
  refuseRepeatedIds(migrations);
  const known = new Set(migrations.map(({ id }) => id));
  const newer = [...applied.keys()].find((id) => !known.has(id));
  if (newer === undefined) return;
  throw new ConnectorError(
    "store-schema-newer",
    `store ${file} was written by a newer version (migration ${newer}): run that version, or restore a backup`,
  );
}

/** Throws ConnectorError `store-migration-twice`. */
export function refuseRepeatedIds(migrations: readonly Migration[]): void {
  if (new Set(migrations.map(({ id }) => id)).size === migrations.length) return;
  throw new ConnectorError("store-migration-twice", "two migrations of one module share an id");
}

function appliedMigrations(database: DatabaseSync): Map<string, string> {
  const rows = database.prepare("SELECT id, sha256 FROM schema_migration").all();
  return new Map(rows.map((row) => [String(row["id"]), String(row["sha256"])]));
}

/** What tells an edited migration from the one that was applied. */
export function hashOfMigration({ sql }: Migration): string {
  return createHash("sha256").update(sql).digest("hex");
}
