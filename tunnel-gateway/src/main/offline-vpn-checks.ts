import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { readStandalone } from "@isthmus/shared/kernel/standalone-file";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import type { VpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import { compileRules } from "../core/compile-rules.ts";
import { tunnelSlices } from "../core/vpn/tunnel-slices.ts";
import { loadNativeAddon } from "../packets/native-addon.ts";
import { offlineAuthenticatorChecks } from "./authenticator-checks.ts";
import { vpnFacilities } from "./vpn-core.ts";
import { groupHealth } from "./vpn-health.ts";

/** What `check` and `readiness` test of a VPN before its start; `standaloneFile` is the desired configuration, if in a file. */
export function offlineVpnChecks(
  vpn: VpnLocalConfiguration,
  standaloneFile: string | undefined,
): HealthCheck[] {
  const checks: HealthCheck[] = [
    { name: "data-path", run: dataPathHealth },
    { name: "vpn-network", run: () => networkHealth(vpn) },
  ];
  if (standaloneFile !== undefined) {
    checks.push({ name: "vpn-groups", run: () => fileHealth(vpn, standaloneFile) });
  }
  return [...checks, ...offlineAuthenticatorChecks(vpn)];
}

function dataPathHealth(): CheckResult {
  const addon = loadNativeAddon();
  if (!("reason" in addon)) return { status: "healthy", reason: "the data path is built" };
  const remedy = "apt-get install gcc libc6-dev, then npm rebuild @isthmus/tunnel-gateway";
  const reason = `there is no data path, and so no VPN, only the relay: ${addon.reason}`;
  return { status: "unhealthy", reason, remedy };
}

function networkHealth(vpn: VpnLocalConfiguration): CheckResult {
  const slices = tunnelSlices(vpn);
  const devices = slices.map(({ device }) => device).join(", ");
  return { status: "healthy", reason: `${vpn.network} for clients, by ${devices}` };
}

/** Whether a gateway would take its own file; where the form is wrong, `desired-configuration` says so. */
function fileHealth(vpn: VpnLocalConfiguration, file: string): CheckResult {
  const { configuration } = readStandalone(file);
  const parsed = desiredConfiguration.safeParse(configuration);
  if (!parsed.success) {
    return { status: "unknown", reason: "the desired configuration has faults", remedy: "see it" };
  }
  const bounds = { destinations: undefined, vpn: vpnFacilities(vpn) };
  return groupHealth(compileRules(parsed.data, bounds));
}
