import { readFileSync } from "node:fs";
import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { SUITE_VERSION } from "@isthmus/shared/kernel/version";
import type { HttpProxy } from "@isthmus/shared/link/http-proxy";
import { systemRandom } from "@isthmus/shared/random";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { TenantConfiguration } from "../config/tenants.ts";
import { IntuneClient } from "../intune/intune-client.ts";
import { RevocationRequests } from "../intune/revocation-requests.ts";
import { ScepValidation, VALIDATION_SERVICE } from "../intune/scep-validation.ts";
import type { TenantSettings } from "../intune/tenant-settings.ts";
import type { CertificateKernel } from "./service.ts";

/** How this connector names itself to Intune. */
const CALLER_INFO = `Isthmus cert-connector ${SUITE_VERSION}`;
const DAY_MS = 86_400_000;
const SECRET_WARNING_DAYS = 30;

/** What this connector has of one tenant. */
export interface Tenant {
  readonly name: string;
  readonly configuration: TenantConfiguration;
  readonly client: IntuneClient;
  readonly validation: ScepValidation;
  readonly revocations: RevocationRequests;
}

export type Tenants = ReadonlyMap<string, Tenant>;

/** One for each tenant of the local file; their connections go onto `resources`. */
export function openTenants(
  { local, clock, random }: Pick<CertificateKernel, "local" | "clock" | "random">,
  resources: AsyncDisposableStack,
): Tenants {
  return new Map(
    Object.entries(local.tenants).map(([name, configuration]) => {
      const client = resources.use(
        new IntuneClient(settingsOf(name, configuration), { clock, random }),
      );
      const validation = new ScepValidation(client, CALLER_INFO);
      const revocations = new RevocationRequests(client);
      return [name, { name, configuration, client, validation, revocations }];
    }),
  );
}

export function settingsOf(name: string, tenant: TenantConfiguration): TenantSettings {
  const { tenantId, clientId, credential, hosts, caFile, proxy, timeoutMs } = tenant;
  const ca = caFile === undefined ? undefined : readFileSync(caFile, "utf8");
  return { name, tenantId, clientId, credential, hosts, ca, proxy: proxyOf(proxy), timeoutMs };
}

function proxyOf(proxy: TenantConfiguration["proxy"]): HttpProxy | undefined {
  if (proxy === undefined) return undefined;
  const { url, credentialsFile } = proxy;
  if (credentialsFile === undefined) return { url };
  const [user = "", ...rest] = readSecretFile(credentialsFile).split(":");
  return { url, credentials: { user, password: rest.join(":") } };
}

/** For `check`: whether each tenant gives a token, tells where its services are, and takes the secret for some time yet. */
export function tenantChecks({ tenants }: Pick<LocalConfiguration, "tenants">): HealthCheck[] {
  return Object.entries(tenants ?? {}).map(([name, tenant]) => ({
    name: `intune-${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`.slice(0, 64),
    run: () => probed(name, tenant),
  }));
}

async function probed(name: string, tenant: TenantConfiguration): Promise<CheckResult> {
  const parts = { clock: systemClock, random: systemRandom };
  using client = new IntuneClient(settingsOf(name, tenant), parts);
  try {
    await client.probe(VALIDATION_SERVICE);
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error;
    return {
      status: "unhealthy",
      reason: `${error.code}: ${error.message}`,
      remedy: "see the table of errors in docs/cert-connector/intune.md",
    };
  }
  return secretResult(tenant) ?? { status: "healthy", reason: "token and services are there" };
}

function secretResult({ credential }: TenantConfiguration): CheckResult | undefined {
  if (credential.kind !== "secret" || credential.expiresOn === undefined) return undefined;
  const daysLeft = Math.floor((Date.parse(credential.expiresOn) - systemClock.now()) / DAY_MS);
  if (daysLeft >= SECRET_WARNING_DAYS) return undefined;
  return {
    status: "warning",
    reason: `the client secret ends on ${credential.expiresOn}`,
    remedy: "make a new one in Microsoft Entra ID, put it into the file and correct expiresOn",
  };
}
