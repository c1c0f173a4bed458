import { readFileSync } from "node:fs";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { checkNameOf, type DirectorySettings } from "../config/directories.ts";
import type { Directories } from "../core/account.ts";
import { AccountDirectory } from "../directory/account-directory.ts";
import { DirectoryPool } from "../directory/directory-pool.ts";

/** A directory's last answer is believed for this long before it is asked for its health. */
const PROBE_EVERY_MS = 30_000;

/** One directory of the local file, put together. */
export interface OpenDirectory {
  readonly pool: DirectoryPool;
  readonly accounts: AccountDirectory;
  readonly settings: DirectorySettings;
}

/** The directories of the local file by name; no connection is made yet. Throws ConfigurationError for a filter. */
export function openDirectories(
  settings: Readonly<Record<string, DirectorySettings>>,
  resources: AsyncDisposableStack,
): ReadonlyMap<string, OpenDirectory> {
  return new Map(
    Object.entries(settings).map(([name, each]) => {
      const directory = openDirectory(name, each);
      resources.use(directory.pool);
      return [name, directory];
    }),
  );
}

/** The view that enrolments have of them. */
export function accountsIn(directories: ReadonlyMap<string, OpenDirectory>): Directories {
  return new Map(Array.from(directories, ([name, { accounts }]) => [name, accounts]));
}

function openDirectory(name: string, settings: DirectorySettings): OpenDirectory {
  const { urls, caFile, startTls, bind, timeoutMs, maxConnections, baseDn, filters } = settings;
  const pool = new DirectoryPool(
    {
      ...{ name, urls, startTls, timeoutMs, bindDn: bind.dn },
      ca: caFile === undefined ? undefined : readFileSync(caFile, "utf8"),
      password: () => readSecretFile(bind.passwordFile),
    },
    maxConnections,
  );
  return { pool, accounts: new AccountDirectory({ pool, baseDn, timeoutMs, filters }), settings };
}

/** What a running service watches: each directory is asked at most every half minute. */
export function directoryHealth(
  directories: ReadonlyMap<string, OpenDirectory>,
  clock: Clock,
): HealthCheck[] {
  return Array.from(directories, ([name, directory]) => {
    let askedAt = Number.NEGATIVE_INFINITY;
    let result: CheckResult | undefined;
    return {
      name: checkNameOf(name),
      run: async () => {
        const now = clock.now();
        if (result === undefined || now - askedAt >= PROBE_EVERY_MS) {
          askedAt = now;
          result = await probed(directory);
        }
        return result;
      },
    };
  });
}

/** For `check`: each directory is asked once, on a connection of its own. */
export function directoryChecks(
  settings: Readonly<Record<string, DirectorySettings>>,
): HealthCheck[] {
  return Object.entries(settings).map(([name, each]) => ({
    name: checkNameOf(name),
    run: async () => {
      const directory = openDirectory(name, each);
      await using _ = directory.pool;
      return await probed(directory);
    },
  }));
}

async function probed({ accounts, pool }: OpenDirectory): Promise<CheckResult> {
  try {
    await accounts.probe();
    return { status: "healthy", reason: "it answers" };
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error;
    return { status: "unhealthy", reason: error.message, remedy: remedyFor(error, pool.name) };
  }
}

function remedyFor({ code }: ConnectorError, name: string): string {
  switch (code) {
    case "directory-credentials":
      return `see directories.${name}.bind: the account's name, its password file, and whether it is locked or expired`;
    case "directory-answer":
      return `see directories.${name}.baseDn: whether it exists and the service account may read there`;
    default:
      return `see directories.${name}: urls, the network on the way, and whether caFile is what the controllers' certificates chain to, for these very names`;
  }
}
