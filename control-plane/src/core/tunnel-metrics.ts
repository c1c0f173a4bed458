/**
 * What the health of a tunnel server is judged by: Microsoft Tunnel's health checks as figures.
 *
 * A gateway reports each `figure` under its name with the kernel's health; what the control plane sees better itself is
 * `computed` here. A figure that is not reported is not judged. The defaults are Microsoft Tunnel's own limits, except that
 * `connections-percent` is of what the gateway can really hold, where Microsoft has 4,990 for every machine.
 *
 * Left out of Microsoft's list: the agent's certificate (a connector's key has no end), containers, and uploads of logs.
 */

/** Which values are good; thresholds themselves belong to the better side. */
export type MetricDirection = "low" | "high";

export interface TunnelMetric {
  readonly source: "figure" | "computed";
  readonly unit: string;
  readonly isGood: MetricDirection;
  /** At least this good is healthy. */
  readonly healthy: number;
  /** Worse than this is unhealthy; what lies between is a warning. */
  readonly unhealthy: number;
  /** What it is, in words for reasons. */
  readonly meaning: string;
}

const figure = (unit: string, isGood: MetricDirection, healthy: number, unhealthy: number) =>
  ({ source: "figure", unit, isGood, healthy, unhealthy }) as const;
const computed = (unit: string, healthy: number, unhealthy: number) =>
  ({ source: "computed", unit, isGood: "low", healthy, unhealthy }) as const;

export const TUNNEL_METRICS = {
  "last-check-in-seconds": { ...computed("s", 300, 300), meaning: "time since the last check-in" },
  /** VPN sessions and relayed connections, of what the configuration, the addresses and the machine allow. */
  "connections-percent": { ...figure("%", "low", 90, 99), meaning: "capacity in use" },
  /** Of all processors, on average over five minutes. */
  "cpu-percent": { ...figure("%", "low", 95, 99), meaning: "processor, 5 min average" },
  /** Of the machine or the container's limit, on average over five minutes. */
  "memory-percent": { ...figure("%", "low", 95, 99), meaning: "memory, 5 min average" },
  /** That the process may use. */
  "cpu-cores": { ...figure("cores", "high", 4, 1), meaning: "processors" },
  /** Of the file system with the state folder; MB of 1,000,000 bytes. */
  "disk-free-megabytes": { ...figure("MB", "high", 5_000, 3_000), meaning: "free disk" },
  /** From a packet's coming in to its going out. */
  "latency-microseconds": { ...figure("µs", "low", 9_999, 20_000), meaning: "packet latency" },
  /** Whole days until the end of the TLS certificate, rounded down: negative once it has expired. */
  "tls-certificate-days": { ...figure("days", "high", 30, 0), meaning: "TLS certificate's days" },
  /** Of the TLS certificate: 0 not revoked, 1 cannot be checked, 2 revoked. */
  "tls-certificate-revocation": { ...figure("code", "low", 0, 1), meaning: "TLS revocation" },
  /** Every five minutes, where the site has an `internalNetworkProbeUrl`: 0 it answered, 1 it did not. */
  "internal-network-probe": { ...figure("code", "low", 0, 0), meaning: "internal network probe" },
  /** Releases behind the control plane. */
  "versions-behind": { ...computed("releases", 0, 1), meaning: "releases behind" },
  /** 0 in force and as the site has it, 1 not yet in force or the server differs, 2 refused. */
  "configuration-applied": { ...computed("code", 0, 1), meaning: "configuration" },
} as const satisfies Readonly<Record<string, TunnelMetric>>;

export type TunnelMetricName = keyof typeof TUNNEL_METRICS;

export const TUNNEL_METRIC_NAMES = Object.keys(TUNNEL_METRICS) as TunnelMetricName[];

/**
 * Facts (words) that a gateway reports, to be compared with the configuration of its site: they are the gateway's own matter,
 * and not applied from here.
 */
export const TUNNEL_FACTS = {
  /** CIDR, `vpn.network` of the local configuration. */
  network: "vpn-network",
  ipv6Network: "vpn-ipv6-network",
  /** The port in use, TCP and UDP. */
  listenPort: "listen-port",
} as const;

export interface TunnelThreshold {
  readonly healthy: number;
  readonly unhealthy: number;
}

export type MetricStatus = "healthy" | "warning" | "unhealthy";

/** Judges a value as it is shown, a whole number. */
export function judgeMetric(
  { isGood }: TunnelMetric,
  { healthy, unhealthy }: TunnelThreshold,
  value: number,
): MetricStatus {
  const sign = isGood === "low" ? 1 : -1;
  if (value * sign <= healthy * sign) return "healthy";
  return value * sign > unhealthy * sign ? "unhealthy" : "warning";
}

/** Whether a threshold leaves no value both healthy and unhealthy. */
export function isThresholdInOrder(
  { isGood }: TunnelMetric,
  { healthy, unhealthy }: TunnelThreshold,
): boolean {
  return isGood === "low" ? healthy <= unhealthy : healthy >= unhealthy;
}
