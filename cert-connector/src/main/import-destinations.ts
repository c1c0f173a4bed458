import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "@isthmus/shared/clock";
import { UsageError } from "@isthmus/shared/kernel/command";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { systemRandom } from "@isthmus/shared/random";
import type { TenantConfiguration } from "../config/tenants.ts";
import { TenantHttp } from "../intune/tenant-http.ts";
import { TokenClient } from "../intune/token-client.ts";
import { UserPfxClient, type UserPfxService } from "../intune/user-pfx-client.ts";
import { ask } from "./ask-service.ts";
import type { ImportDestination } from "./pfx-import.ts";
import type { UserPfxCertificate } from "./pfx-record.ts";
import { settingsOf } from "./tenants.ts";

/** Our own limit on one request; a record has about 10 KB. */
const TIMEOUT_MS = 60_000;

/** The running connector: it keeps the record itself. */
export function connectorDestination(config: string): ImportDestination {
  return {
    name: "connector",
    put: async (record) => {
      const notAfter = Date.parse(record.expirationDateTime);
      const { intendedPurpose } = record;
      await ask(config, "pfx.store", { record, intendedPurpose, notAfter });
      return "stored";
    },
  };
}

/** A file, one record a line, for whoever sends it on. Its secrets are encrypted. */
export function fileDestination(file: string): ImportDestination {
  return {
    name: file,
    put: async (record) => {
      appendFileSync(file, `${JSON.stringify(record)}\n`);
      return "written";
    },
  };
}

/** Microsoft Graph (beta) of a tenant of the local file. */
export function graphDestination(
  name: string,
  tenant: TenantConfiguration | undefined,
  note: (line: string) => void,
  resources: DisposableStack,
): ImportDestination {
  if (tenant === undefined) {
    throw new UsageError(`--to-graph ${name}: the local configuration has no such tenant`);
  }
  const settings = { ...settingsOf(name, tenant), timeoutMs: TIMEOUT_MS };
  const http = resources.use(new TenantHttp(settings));
  const tokens = new TokenClient({ settings, http, clock: systemClock, random: systemRandom });
  const scope = `${settings.hosts.graph}/.default`;
  const service: UserPfxService = {
    name: `Microsoft Graph of ${name}`,
    baseUrl: `${settings.hosts.graph}/beta`,
    token: () => tokens.token(scope),
    forget: (token) => tokens.forget(scope, token),
    idBy: "user-id",
  };
  return destinationOf(`graph:${name}`, { service, http, note });
}

/** A control plane of ours; the token is one of `POST /api/session`. */
export function controlPlaneDestination(
  of: { readonly url: string; readonly tokenFile: string; readonly caFile: string | undefined },
  note: (line: string) => void,
  resources: DisposableStack,
): ImportDestination {
  const { origin } = new URL(of.url);
  const ca = of.caFile === undefined ? undefined : readFileSync(of.caFile, "utf8");
  const settings = { name: origin, ca, proxy: undefined, timeoutMs: TIMEOUT_MS };
  const http = resources.use(new TenantHttp(settings));
  const service: UserPfxService = {
    name: `the control plane at ${origin}`,
    baseUrl: `${origin}/beta`,
    token: async () => readSecretFile(of.tokenFile),
    forget: () => undefined,
    idBy: "list",
  };
  return destinationOf(origin, { service, http, note });
}

function destinationOf(
  name: string,
  parts: {
    readonly service: UserPfxService;
    readonly http: TenantHttp;
    readonly note: (line: string) => void;
  },
): ImportDestination {
  const { service, http, note } = parts;
  const wait = async (ms: number) => {
    note(`${service.name} wants us to wait ${Math.ceil(ms / 1_000)} s`);
    await delay(ms);
  };
  const client = new UserPfxClient({ service, http, clock: systemClock, wait });
  return { name, put: (record: UserPfxCertificate) => client.put(record) };
}
