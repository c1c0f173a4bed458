import type { StoreModule } from "../transaction.ts";
import type { Writer } from "../worker-messages.ts";
import { BatchCommit } from "./batch-commit.ts";
import { Dialect, identityColumns } from "./dialect.ts";
import { migrateReplica, requireReplicaMigrated } from "./migrate-replica.ts";
import { describePlace, type PostgresqlPlace } from "./place.ts";
import { SessionBridge } from "./session-bridge.ts";

/**
 * Opens a replica's store in PostgreSQL: holds the replica's name, brings both schemas up to date. With `isReadOnly` it does
 * neither. What it opens goes onto `resources`.
 *
 * @throws ConnectorError `store-unreachable`, `store-refused`, `store-in-use`, `store-schema-newer` and others.
 */
export function openPostgresql(
  place: PostgresqlPlace,
  { migrations, operations, ownMigrations, ownOperations }: StoreModule,
  isReadOnly: boolean,
  resources: DisposableStack,
): Writer {
  const session = resources.use(new SessionBridge(place, isReadOnly));
  const own = ownMigrations ?? migrations;
  const shared = migrations.filter((migration) => !own.includes(migration));
  const of = { session, place, own, shared };
  if (isReadOnly) requireReplicaMigrated(of);
  else migrateReplica(of, Date.now());
  const commit = new BatchCommit({
    session,
    operations,
    ownOperations: new Set(Object.keys(ownOperations ?? operations)),
    dialect: new Dialect(identityColumns(migrations)),
    place: describePlace(place),
    isReadOnly,
  });
  return { run: (batch) => commit.run(batch), finish: () => undefined };
}
