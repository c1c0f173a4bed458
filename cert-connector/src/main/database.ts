import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CliCommand } from "@isthmus/shared/kernel/command";
import type { CommonConfiguration } from "@isthmus/shared/kernel/common-configuration";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { holdStateFolder, stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { describePlace } from "@isthmus/shared/store/postgresql/place";
import { Session } from "@isthmus/shared/store/postgresql/session";
import { openStore } from "@isthmus/shared/store/store";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { loadLocal } from "./load-local.ts";

const CHECK_TIMEOUT_MS = 5_000;
const OLDEST_VERSION = 130_000;

/** What `check` can tell of the database without the service: reached, allowed in, able to be written. */
export function databaseChecks({ database }: Pick<LocalConfiguration, "database">): HealthCheck[] {
  if (database === undefined) return [];
  return [{ name: "database", run: () => databaseResult(database) }];
}

async function databaseResult(
  place: NonNullable<LocalConfiguration["database"]>,
): Promise<CheckResult> {
  await using session = await Session.open({
    place,
    isReadOnly: false,
    statementTimeoutMs: CHECK_TIMEOUT_MS,
  });
  const text = `SELECT current_setting('server_version_num') AS version, pg_is_in_recovery() AS standby,
    has_database_privilege(current_database(), 'CREATE') AS creates`;
  const outcome = await session.run([{ text, values: [] }]);
  const row = outcome.ok ? outcome.results[0]?.rows[0] : undefined;
  const where = describePlace(place);
  if (row === undefined)
    return { status: "unhealthy", reason: `${where} gives no answer`, remedy: "see its log" };
  if (row["standby"] === 1) {
    return {
      status: "unhealthy",
      reason: `${where} is a standby, which cannot be written`,
      remedy: "name the primary, or an address that always leads to it",
    };
  }
  if (Number(row["version"]) < OLDEST_VERSION) {
    return {
      status: "unhealthy",
      reason: `${where} is older than PostgreSQL 13`,
      remedy: "upgrade the server",
    };
  }
  if (row["creates"] === 1) return { status: "healthy", reason: `${where} answers` };
  return {
    status: "warning",
    reason: `${where} answers, but the role may not make schemas`,
    remedy: "GRANT CREATE ON DATABASE to the role, or make its two schemas and give them to it",
  };
}

const restored: CliCommand = {
  name: "restored",
  summary:
    "after the database was restored from a backup: has this replica compare with its control plane what each knows",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    const local = loadLocal(call.required("config"));
    await markRestored(local);
    return { text: "Marked. Do the same for each replica, then start them.", value: {} };
  },
};

async function markRestored({
  database,
  stateFolder,
}: Pick<LocalConfiguration, "database"> & Pick<CommonConfiguration, "stateFolder">): Promise<void> {
  if (database === undefined) {
    throw new ConnectorError(
      "database-none",
      "the configuration names no database; `ca restore` puts back a ledger that is in a file",
    );
  }
  using _held = holdStateFolder(stateFolderAt(stateFolder));
  await using store = await openStore<CertificateOperations>({
    postgresql: database,
    module: new URL("../store/operations.ts", import.meta.url),
  });
  const at = systemClock.now();
  await store.run("raiseEpoch", { now: at });
  await store.run("recordAudit", { at, event: "ledger.restored", payload: {} });
}

export const databaseCommands: CliCommand = {
  name: "database",
  summary: "the PostgreSQL database that replicas share",
  commands: [restored],
};
