import type { CommonConfiguration } from "@isthmus/shared/kernel/common-configuration";
import { readGuardrails } from "@isthmus/shared/kernel/connector-foundation";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { readStandalone } from "@isthmus/shared/kernel/standalone-file";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import { guardrails } from "../config/guardrails.ts";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import { ConfigurationInForce, type LocalNames } from "../core/configuration-in-force.ts";
import { issuanceGuard } from "../core/issuance-guard.ts";

type Local = LocalConfiguration & Partial<Pick<CommonConfiguration, "standalone">>;

/** What the authority of `ca` is called in profiles. */
const EMBEDDED = "embedded";

/**
 * For `check`: whether the profiles of a local desired configuration fit this machine and its guardrails, which a start would
 * refuse otherwise. None where the control plane gives the configuration.
 */
export function profilesCheck(
  local: Local & { readonly guardrailsFile?: string | undefined },
): readonly HealthCheck[] {
  const file = local.standalone?.desiredConfigurationFile;
  if (file === undefined) return [];
  return [{ name: "profiles", run: () => judge(local, file) }];
}

function judge(
  local: Local & { readonly guardrailsFile?: string | undefined },
  file: string,
): CheckResult {
  const parsed = desiredConfiguration.safeParse(readStandalone(file).configuration);
  if (!parsed.success) {
    return { status: "unknown", reason: "the desired configuration cannot be read" };
  }
  const { rules } = readGuardrails({ service: "cert-connector", guardrails }, local.guardrailsFile);
  const guard = issuanceGuard(rules, { max: 0, windowMs: 0 });
  new ConfigurationInForce(guard, namesIn(local)).replace(parsed.data);
  const { length } = parsed.data.profiles;
  return {
    status: "healthy",
    reason: `${length === 1 ? "1 profile fits" : `${length} profiles fit`} this machine`,
  };
}

/** Whether the embedded authority opens SCEP messages itself is seen at the start only. */
function namesIn(local: Local): LocalNames {
  const others = Object.entries(local.authorities);
  const names = (section: object) => new Set(Object.keys(section));
  return {
    authorities: new Set([EMBEDDED, ...others.flatMap(([name, { labels }]) => [name, ...labels])]),
    ownRegistration: new Set([EMBEDDED]),
    secrets: names(local.secrets),
    tenants: names(local.tenants),
    webhooks: names(local.webhooks),
    directories: names(local.directories),
  };
}
