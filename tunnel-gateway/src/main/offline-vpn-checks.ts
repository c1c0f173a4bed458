import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { VpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import { tunnelSlices } from "../core/vpn/tunnel-slices.ts";
import { loadNativeAddon } from "../packets/native-addon.ts";
import { offlineAuthenticatorChecks } from "./authenticator-checks.ts";
import { type CheckedLocal, ownRulesHealth } from "./own-rules.ts";
import { groupHealth } from "./vpn-health.ts";

/** What `check` and `readiness` test of a VPN before its start. */
export function offlineVpnChecks(local: CheckedLocal, vpn: VpnLocalConfiguration): HealthCheck[] {
  const file = local.standalone?.desiredConfigurationFile;
  const checks: HealthCheck[] = [
    { name: "data-path", run: dataPathHealth },
    { name: "vpn-network", run: () => networkHealth(vpn) },
  ];
  if (file !== undefined) {
    checks.push({ name: "vpn-groups", run: () => ownRulesHealth(local, file, groupHealth) });
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
