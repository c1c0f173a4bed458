import { BlockList, isIPv6 } from "node:net";
import type { HealthSnapshot } from "@isthmus/shared/link/messages";
import {
  judgeMetric,
  type MetricStatus,
  TUNNEL_FACTS,
  TUNNEL_METRIC_NAMES,
  TUNNEL_METRICS,
  type TunnelMetricName,
  type TunnelThreshold,
} from "./tunnel-metrics.ts";
import { OWN_CHECK_REMEDY, TUNNEL_REMEDIES } from "./tunnel-remedies.ts";

/** How long a configuration may be on its way before that is worth a warning: a check-in. */
const CONFIGURATION_WAY_MS = 5 * 60_000;
/** Own limit: more releases behind than this are as bad. */
const MAX_BEHIND = 2;

/** What of its site's configuration is a matter of the server's own file, and only compared. */
export interface ServersOwnValues {
  readonly network: string | null;
  readonly ipv6Network: string | null;
  readonly listenPort: number;
}

/** All that the health of a tunnel server is judged by. Times are ms since the epoch. */
export interface TunnelServerReport {
  readonly now: number;
  /** Since when the present connection stands; undefined without one. */
  readonly connectedAt: number | undefined;
  /** Undefined for a server that never came. */
  readonly lastSeenAt: number | undefined;
  readonly health: HealthSnapshot | undefined;
  readonly healthAt: number | undefined;
  /** The control plane's own version. */
  readonly version: string;
  readonly configuration: {
    /** The newest version, and since when it is there; 0 for none. */
    readonly desired: number;
    readonly desiredAt: number;
    readonly applied: number;
    readonly refusal: { readonly version: number; readonly message: string } | undefined;
  };
  /** Of the configuration of the server's site; undefined without one. */
  readonly site: ServersOwnValues | undefined;
  readonly thresholds: ReadonlyMap<TunnelMetricName, TunnelThreshold>;
}

/** Microsoft's `tunnelServerHealthStatus`, as far as it can be told here. */
export type TunnelServerStatus = MetricStatus | "offline" | "unknown";

/** One figure or check, with its reason. `value` is null for a check of the gateway's own. */
export interface HealthDetail {
  readonly name: string;
  readonly status: MetricStatus | "unknown";
  readonly value: number | null;
  readonly reason: string;
  /** What to do; left out of what is healthy. */
  readonly remedy?: string;
}

export interface TunnelServerHealth {
  readonly status: TunnelServerStatus;
  readonly details: readonly HealthDetail[];
}

/** Judges a server by its check-ins, its figures, and the checks it makes itself. */
export function tunnelServerHealth(report: TunnelServerReport): TunnelServerHealth {
  const { lastSeenAt, connectedAt, health } = report;
  if (lastSeenAt === undefined) return { status: "unknown", details: [] };
  const measured = measure(report);
  const metrics = TUNNEL_METRIC_NAMES.flatMap((name) => {
    const figure = measured[name];
    return figure === undefined ? [] : [detailOf(name, figure, report)];
  });
  // A server's own check of a figure is left to the figure, whose thresholds can be changed.
  const own = (health?.checks ?? []).flatMap(({ name, status, reason }): HealthDetail[] =>
    status === "healthy" || Object.hasOwn(measured, name)
      ? []
      : [{ name, status, value: null, reason, remedy: OWN_CHECK_REMEDY }],
  );
  const details = [...metrics, ...own];
  const isLate = metrics.some(
    ({ name, status }) => name === "last-check-in-seconds" && status === "unhealthy",
  );
  if (connectedAt === undefined && isLate) return { status: "offline", details };
  if (health === undefined) return { status: "unknown", details };
  return { status: worstOf(details), details };
}

function worstOf(details: readonly HealthDetail[]): MetricStatus {
  if (details.some(({ status }) => status === "unhealthy")) return "unhealthy";
  return details.some(({ status }) => status !== "healthy") ? "warning" : "healthy";
}

interface Figure {
  readonly value: number;
  readonly reason?: string;
}

function detailOf(
  name: TunnelMetricName,
  figure: Figure,
  report: TunnelServerReport,
): HealthDetail {
  const metric = TUNNEL_METRICS[name];
  const threshold = report.thresholds.get(name) ?? metric;
  const value = Math.round(figure.value);
  const unit = metric.unit === "code" ? "" : ` ${metric.unit}`;
  const said = `${metric.meaning}: ${value}${unit}`;
  const bound = `healthy is at ${metric.isGood === "low" ? "most" : "least"} ${threshold.healthy}${unit}`;
  const status = judgeMetric(metric, threshold, value);
  const reason = figure.reason ?? (status === "healthy" ? said : `${said}, ${bound}`);
  const detail = { name, status, value, reason };
  return status === "healthy" ? detail : { ...detail, remedy: TUNNEL_REMEDIES[name] };
}

type Measured = Readonly<Partial<Record<TunnelMetricName, Figure | undefined>>>;

function measure(report: TunnelServerReport): Measured {
  const { health, now, lastSeenAt = now, connectedAt, healthAt } = report;
  const reported = TUNNEL_METRIC_NAMES.flatMap((name) => {
    const value = health?.figures[name];
    return TUNNEL_METRICS[name].source === "figure" && value !== undefined
      ? [[name, { value }] as const]
      : [];
  });
  // A server that stays connected and says nothing of its health has not checked in either.
  const checkedInAt =
    connectedAt === undefined ? lastSeenAt : Math.max(healthAt ?? connectedAt, connectedAt);
  return {
    ...Object.fromEntries(reported),
    "last-check-in-seconds": { value: Math.max(0, now - checkedInAt) / 1_000 },
    "versions-behind": behind(health?.version, report.version),
    "configuration-applied": configurationState(report),
  };
}

/** How many releases `theirs` is older than `ours`; undefined where either is no version. */
function behind(theirs: string | undefined, ours: string): Figure | undefined {
  const [their, our] = [versionOf(theirs), versionOf(ours)];
  if (their === undefined || our === undefined) return undefined;
  const at = our.findIndex((part, index) => part !== their[index]);
  const releases = at === -1 ? 0 : (our[at] ?? 0) - (their[at] ?? 0);
  const value = Math.min(Math.max(releases * (at === 0 ? MAX_BEHIND : 1), 0), MAX_BEHIND);
  return { value, reason: `version ${theirs}; the control plane has ${ours}` };
}

function versionOf(text: string | undefined): readonly number[] | undefined {
  const match = /^(\d{1,6})\.(\d{1,6})\.(\d{1,6})/.exec(text ?? "");
  return match?.slice(1).map(Number);
}

function configurationState(report: TunnelServerReport): Figure | undefined {
  const { configuration, now } = report;
  const { desired, desiredAt, applied, refusal } = configuration;
  if (desired === 0) return undefined;
  if (refusal?.version === desired) {
    return { value: 2, reason: `version ${desired} was refused: ${refusal.message}` };
  }
  if (applied !== desired && now - desiredAt > CONFIGURATION_WAY_MS) {
    return { value: 1, reason: `version ${desired} is not in force, version ${applied} is` };
  }
  const differences = differencesOf(report);
  if (differences.length > 0) {
    const reason = `the site's configuration and the server's own file differ: ${differences.join("; ")}`;
    return { value: 1, reason };
  }
  const state = applied === desired ? "in force" : "on its way";
  return { value: 0, reason: `version ${desired} is ${state}` };
}

/** What the server says of itself other than its site does; what it does not say is not compared. */
function differencesOf({ site, health }: TunnelServerReport): string[] {
  if (site === undefined) return [];
  const pairs = [
    ["network", site.network, TUNNEL_FACTS.network],
    ["ipv6Network", site.ipv6Network, TUNNEL_FACTS.ipv6Network],
    ["listenPort", String(site.listenPort), TUNNEL_FACTS.listenPort],
  ] as const;
  return pairs.flatMap(([property, wanted, fact]) => {
    const told = health?.facts?.[fact];
    if (wanted === null || told === undefined || spelled(wanted) === spelled(told)) return [];
    return [`${property} ${wanted}, server ${told}`];
  });
}

/** A network in the one spelling that compares; anything else as it is. */
function spelled(text: string): string {
  const [address = "", prefix] = text.split("/");
  if (prefix === undefined) return text;
  const list = new BlockList();
  try {
    list.addSubnet(address, Number(prefix), isIPv6(address) ? "ipv6" : "ipv4");
  } catch {
    return text;
  }
  return list.rules.join();
}
