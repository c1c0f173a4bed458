import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { AccessControl } from "../core/access.ts";
import { namesWithin } from "../core/vpn/packet-rules.ts";
import type { VpnParts } from "../core/vpn/vpn-service.ts";

/** Own choice: share of the addresses in use from which on a person is told. */
const ADDRESSES_WARNING = 0.9;
/** Own limit: rules that a reason names. */
const NAMED_RULES = 5;

/** The VPN's health checks. */
export function vpnChecks(options: {
  readonly parts: VpnParts;
  readonly access: AccessControl;
  /** Why the data path stopped, where it did. */
  readonly fault: () => string | undefined;
}): HealthCheck[] {
  const { parts, access, fault } = options;
  return [
    { name: "vpn-data-path", run: () => dataPathHealth(fault()) },
    { name: "vpn-addresses", run: () => addressHealth(parts) },
    { name: "vpn-groups", run: () => groupHealth(access) },
  ];
}

/** Of a gateway whose local configuration has a VPN that it cannot serve. */
export function missingEngineCheck(reason: string): HealthCheck {
  const remedy = "build the data path (npm run install --workspace tunnel-gateway) and restart";
  const told = `the VPN is not served, the relay is: ${reason}`;
  return { name: "vpn-data-path", run: () => ({ status: "warning", reason: told, remedy }) };
}

function dataPathHealth(fault: string | undefined): CheckResult {
  if (fault === undefined) return { status: "healthy", reason: "packets are carried" };
  const remedy = "restart the gateway; clients come back to their sessions";
  return { status: "unhealthy", reason: `the data path stopped: ${fault}`, remedy };
}

function addressHealth({ pool }: VpnParts): CheckResult {
  const { used, capacity } = pool;
  const reason = `${used} of ${capacity} addresses are in use`;
  const remedy = "give vpn.network a larger network and run host-setup again";
  if (used >= capacity) return { status: "unhealthy", reason, remedy };
  if (used >= capacity * ADDRESSES_WARNING) return { status: "warning", reason, remedy };
  return { status: "healthy", reason };
}

/** Whether somebody can log in, and whether the policies say less on the VPN than on the relay. */
function groupHealth({ rules }: AccessControl): CheckResult {
  if (rules.vpn.groups.length === 0) {
    const remedy = "add a group to vpn.groups of the desired configuration";
    return { status: "warning", reason: "nobody can log in: there is no group", remedy };
  }
  const names = namesWithin(rules.policies);
  const groups = `${rules.vpn.groups.length} groups`;
  if (names.length === 0) return { status: "healthy", reason: groups };
  const shown = names.slice(0, NAMED_RULES).join(", ");
  const more = names.length > NAMED_RULES ? ` and ${names.length - NAMED_RULES} more` : "";
  const reason = `${groups}; destinations by name hold for the relay alone: ${shown}${more}`;
  return { status: "warning", reason, remedy: "name networks for the VPN in those rules as well" };
}
