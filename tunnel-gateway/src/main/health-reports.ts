import { X509Certificate } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Health } from "@isthmus/shared/kernel/service-definition";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import { DESCRIPTORS_EACH, descriptorLimit } from "./descriptors.ts";
import type { HostLoad } from "./host-load.ts";
import type { NetworkProbe } from "./network-probe.ts";

const DAY_MS = 86_400_000;

export interface HealthReportOptions {
  readonly health: Health;
  readonly load: HostLoad;
  readonly probe: NetworkProbe;
  readonly now: () => number;
  /** PEM, in force. */
  readonly certificate: () => string;
  readonly port: () => number;
  readonly relayed: () => number;
  readonly relayedAtMost: () => number;
  readonly devices: () => number;
  readonly vpn: VpnReport | undefined;
  readonly local: Pick<LocalConfiguration, "vpn">;
}

export interface VpnReport {
  readonly sessions: number;
  readonly addresses: { readonly used: number; readonly capacity: number };
  /** NaN while it is not known. */
  readonly latencyMicroseconds: number;
}

/** Reports what the control plane judges a tunnel server by, under the names that it knows, and what it compares. */
export function reportHealth(options: HealthReportOptions): void {
  const { health, load, probe, vpn, local } = options;
  for (const check of load.checks()) health.register(check);
  health.register({ name: "internal-network-probe", run: () => probe.check() });
  health.figure("connections", options.relayed);
  health.figure("devices", options.devices);
  if (vpn) {
    health.figure("vpn-sessions", () => vpn.sessions);
    health.figure("latency-microseconds", () => vpn.latencyMicroseconds);
  }
  const descriptors = descriptorLimit();
  health.figure("connections-percent", () => Math.ceil(capacityPercent(options, descriptors)));
  health.figure("cpu-percent", () => Math.round(load.cpuPercent));
  health.figure("memory-percent", () => Math.round(load.memoryPercent));
  health.figure("cpu-cores", () => availableParallelism());
  health.figure("disk-free-megabytes", () => Math.floor(load.freeMegabytes));
  health.figure("tls-certificate-days", () => daysLeft(options.certificate(), options.now()));
  health.figure("internal-network-probe", () => probe.figure);
  health.fact("listen-port", () => String(options.port()));
  health.fact("vpn-network", () => local.vpn?.network);
  health.fact("vpn-ipv6-network", () => local.vpn?.ipv6Network);
}

/** Of what runs out first: configured connections, addresses, or descriptors. */
function capacityPercent(
  { relayed, relayedAtMost, vpn }: HealthReportOptions,
  descriptors: number,
): number {
  const open = relayed() + (vpn?.sessions ?? 0);
  const shares = [
    relayed() / relayedAtMost(),
    (open * DESCRIPTORS_EACH) / descriptors,
    ...(vpn ? [vpn.addresses.used / vpn.addresses.capacity] : []),
  ];
  return 100 * Math.max(...shares);
}

function daysLeft(certificate: string, now: number): number {
  return Math.floor((new X509Certificate(certificate).validToDate.getTime() - now) / DAY_MS);
}
