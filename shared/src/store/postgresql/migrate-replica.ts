import { ConnectorError } from "../../errors.ts";
import { hashOfMigration, refuseRepeatedIds } from "../migrate.ts";
import type { Migration } from "../transaction.ts";
import { translateDdl } from "./dialect.ts";
import { fromPostgresql } from "./failures.ts";
import type { PipelineOutcome, Statement } from "./pipeline.ts";
import {
  describePlace,
  lockNumber,
  ownSchema,
  type PostgresqlPlace,
  SHARED_SCHEMA,
} from "./place.ts";
import type { SessionBridge } from "./session-bridge.ts";

/** `breaks_older`: a release that does not know this migration may not work with the tables any more. */
const SCHEMA_TABLE = `CREATE TABLE IF NOT EXISTS schema_migration (
  id TEXT PRIMARY KEY,
  sha256 TEXT NOT NULL,
  applied_at BIGINT NOT NULL,
  breaks_older BIGINT NOT NULL DEFAULT 0
)`;

export interface ReplicaMigrations {
  readonly session: Pick<SessionBridge, "begin" | "proceed" | "script">;
  readonly place: PostgresqlPlace;
  /** Of the tables in the replica's own schema. */
  readonly own: readonly Migration[];
  /** Of those that all replicas share. */
  readonly shared: readonly Migration[];
}

/**
 * Applies, in one transaction and one replica at a time, what the two schemas have not seen. A migration that this release
 * does not know was applied by a newer one: that is no obstacle unless it breaks older releases, so that replicas can be
 * upgraded one after another.
 *
 * @throws ConnectorError `store-schema-newer`, `store-schema-changed`, `store-migration-twice`, `store-refused`.
 */
export function migrateReplica(of: ReplicaMigrations, now: number): void {
  refuseRepeatedIds([...of.own, ...of.shared]);
  const run = runner(of);
  of.session.script("SELECT 1");
  run.begin();
  try {
    of.session.script("SET LOCAL statement_timeout = 0");
    migrateSchema(of, run, SHARED_SCHEMA, of.shared, now);
    migrateSchema(of, run, ownSchema(of.place), of.own, now);
    run.one("COMMIT");
  } catch (error) {
    of.session.proceed([{ text: "ROLLBACK", values: [] }]);
    throw error;
  }
}

/** Checks, without writing, that both schemas have what this release expects. @throws `store-schema-older` and others */
export function requireReplicaMigrated(of: ReplicaMigrations): void {
  const run = runner(of);
  run.begin("BEGIN READ ONLY");
  try {
    for (const [schema, migrations] of [
      [SHARED_SCHEMA, of.shared],
      [ownSchema(of.place), of.own],
    ] as const) {
      const missing = hasSchema(run, schema)
        ? firstMissing(of.place, migrations, appliedIn(run, schema))
        : migrations[0];
      if (missing === undefined) continue;
      throw new ConnectorError(
        "store-schema-older",
        `${describePlace(of.place)} lacks migration ${missing.id}: start the service once, which applies it`,
      );
    }
  } finally {
    of.session.proceed([{ text: "ROLLBACK", values: [] }]);
  }
}

type Runner = ReturnType<typeof runner>;

function runner({ session, place }: Pick<ReplicaMigrations, "session" | "place">) {
  const checked = (outcome: PipelineOutcome) => {
    if (outcome.ok) return outcome.results.at(-1)?.rows ?? [];
    throw fromPostgresql(outcome.failure, describePlace(place));
  };
  const lock: Statement = {
    text: "SELECT pg_advisory_xact_lock($1)",
    values: [lockNumber(`schema ${SHARED_SCHEMA}`)],
  };
  return {
    begin: (text = "BEGIN") =>
      checked(
        session.begin(text === "BEGIN" ? [{ text, values: [] }, lock] : [{ text, values: [] }]),
      ),
    one: (text: string, ...values: Statement["values"]) =>
      checked(session.proceed([{ text, values }])),
  };
}

function migrateSchema(
  { session, place }: ReplicaMigrations,
  run: Runner,
  schema: string,
  migrations: readonly Migration[],
  now: number,
): void {
  if (!hasSchema(run, schema)) session.script(`CREATE SCHEMA ${schema}`);
  session.script(`SET LOCAL search_path = ${schema}; ${SCHEMA_TABLE}`);
  const applied = appliedIn(run, schema);
  for (;;) {
    const migration = firstMissing(place, migrations, applied);
    if (migration === undefined) return;
    const { id, sql, postgresql, breaksOlder = false } = migration;
    session.script(postgresql ?? translateDdl(sql));
    const sha256 = hashOfMigration(migration);
    const row = [id, sha256, now, breaksOlder ? 1 : 0];
    run.one("INSERT INTO schema_migration VALUES ($1, $2, $3, $4)", ...row);
    applied.set(id, { sha256, breaksOlder });
  }
}

interface Applied {
  readonly sha256: string;
  readonly breaksOlder: boolean;
}

function hasSchema(run: Runner, schema: string): boolean {
  return run.one("SELECT 1 AS found FROM pg_namespace WHERE nspname = $1", schema).length > 0;
}

function appliedIn(run: Runner, schema: string): Map<string, Applied> {
  const rows = run.one(`SELECT id, sha256, breaks_older FROM ${schema}.schema_migration`);
  return new Map(
    rows.map((row) => [
      String(row["id"]),
      { sha256: String(row["sha256"]), breaksOlder: row["breaks_older"] === 1 },
    ]),
  );
}

function firstMissing(
  place: PostgresqlPlace,
  migrations: readonly Migration[],
  applied: ReadonlyMap<string, Applied>,
): Migration | undefined {
  const known = new Map(migrations.map((migration) => [migration.id, hashOfMigration(migration)]));
  for (const [id, { sha256, breaksOlder }] of applied) {
    const expected = known.get(id);
    if (expected === undefined && breaksOlder) {
      throw new ConnectorError(
        "store-schema-newer",
        `${describePlace(place)} was changed by a newer version (migration ${id}): run that version here too`,
      );
    }
    if (expected !== undefined && expected !== sha256) {
      throw new ConnectorError(
        "store-schema-changed",
        `${describePlace(place)}: migration ${id} differs from the one that was applied; migrations are never edited`,
      );
    }
  }
  return migrations.find(({ id }) => !applied.has(id));
}
