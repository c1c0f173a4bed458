import { readFileSync } from "node:fs";
import type { DirectoryAddress } from "@isthmus/shared/directory/directory-connection";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { DirectoryConfiguration } from "../config/directory.ts";
import {
  DirectorySource,
  type DirectorySourceParts,
  type DirectorySourceSettings,
} from "../directory/directory-source.ts";
import { DomainReader } from "../directory/domain-reader.ts";

const MINUTE_MS = 60_000;
/** Own limit: a check has 10 s in all. */
const CHECK_MS = 8_000;

/** A domain that the local configuration names; it is not asked for anything yet. */
export function directorySource(
  configuration: DirectoryConfiguration,
  parts: DirectorySourceParts,
): DirectorySource {
  return new DirectorySource(settingsOf(configuration), parts);
}

/** What a running bridge knows of a domain from its last contact; undefined as long as it does not read it. */
export function directoryHealth(
  name: string,
  source: () => DirectorySource | undefined,
): HealthCheck {
  return {
    name: checkNameOf(name),
    run: () => {
      const { failure, lastReadAt, mayUseDirSync } = source()?.state ?? {};
      if (failure !== undefined) return failed(failure);
      if (lastReadAt !== undefined) return readable(name, mayUseDirSync);
      return { status: "healthy", reason: `${name} is not read by this bridge as yet` };
    },
  };
}

/** For `check`: each domain is asked once, on a connection of its own. */
export function directoryChecks(configurations: readonly DirectoryConfiguration[]): HealthCheck[] {
  return configurations.map((one) => ({
    name: checkNameOf(one.name),
    run: async () => {
      try {
        const { address, ...settings } = settingsOf(one);
        const timely = { ...settings, address: { ...address, timeoutMs: CHECK_MS } };
        await using domain = await DomainReader.open(timely);
        await domain.probe();
        return readable(one.name, await domain.mayUseDirSync());
      } catch (error) {
        if (!(error instanceof ConnectorError)) throw error;
        return failed(error);
      }
    },
  }));
}

function readable(name: string, mayUseDirSync: boolean | undefined): CheckResult {
  if (mayUseDirSync !== false) return { status: "healthy", reason: `${name} is read` };
  return {
    status: "warning",
    reason: `the account may not use DirSync in ${name}: changes and deletions are seen only when everything is read`,
    remedy: `give it "Replicating Directory Changes" on the domain (docs/comgmt-bridge/directory.md), or leave it at that`,
  };
}

function failed(error: ConnectorError): CheckResult {
  const remedy = REMEDIES[codeOf(error)] ?? "see the reason, and docs/comgmt-bridge/directory.md";
  return { status: "unhealthy", reason: error.message, remedy };
}

const REMEDIES: Readonly<Record<string, string>> = {
  "directory-unreachable": "correct directories[].urls and caFile, or open the way to port 636",
  "directory-credentials": "correct directories[].bind, or unlock the account",
  "directory-too-large": "raise directories[].limits.maxObjects",
  "secret-unreadable": "let the service's user read directories[].bind.passwordFile",
};

function settingsOf(of: DirectoryConfiguration): DirectorySourceSettings {
  const { name, urls, caFile, bind, baseDn, kinds, limits } = of;
  const address: DirectoryAddress = {
    ...{ name, urls, startTls: true, bindDn: bind.dn, timeoutMs: limits.timeoutMs },
    ca: caFile === undefined ? undefined : readFileSync(caFile, "utf8"),
    password: () => readSecretFile(bind.passwordFile),
  };
  return {
    ...{ address, kinds, limits },
    baseDn: baseDn ?? baseDnOf(name),
    changesMs: of.changesSeconds * 1_000,
    fullReadMs: of.fullReadMinutes * MINUTE_MS,
    groupsAfterDeletionMs: of.groupsAfterDeletionMinutes * MINUTE_MS,
    fullReadWithoutDirSyncMs: of.fullReadWithoutDirSyncMinutes * MINUTE_MS,
  };
}

/** `corp.example` is `DC=corp,DC=example`. */
function baseDnOf(name: string): string {
  return name
    .split(".")
    .map((label) => `DC=${label}`)
    .join(",");
}

function checkNameOf(name: string): string {
  return `directory-${name.replaceAll(".", "-")}`.slice(0, 64);
}
