import { SUITE_VERSION } from "@isthmus/shared/kernel/version";
import type { HealthSnapshot } from "@isthmus/shared/link/messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type { TunnelSeriesRequest, TunnelThresholdChange } from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import {
  TUNNEL_METRIC_NAMES,
  TUNNEL_METRICS,
  type TunnelMetricName,
  type TunnelThreshold,
} from "../core/tunnel-metrics.ts";
import {
  type HealthDetail,
  type TunnelServerReport,
  tunnelServerHealth,
} from "../core/tunnel-server-health.ts";
import { recordAct } from "./own-audit.ts";

/** One sample for each step of this length. */
const SAMPLE_STEP_MS = 5 * 60_000;
/** Own limits. */
/** Servers judged in one transaction. */
const JUDGED_AT_ONCE = 100;
/** Points of one answer: more than are kept. */
const MAX_POINTS = 10_000;

type Thresholds = ReadonlyMap<TunnelMetricName, TunnelThreshold>;

/** Judges the servers that follow `after`, some at a time; answers the last one's id while there may be more. */
function judgeTunnelServers(
  transaction: Transaction,
  { now, after }: { readonly now: number; readonly after: string },
): { readonly last: string | undefined } {
  const rows = transaction.all(
    "SELECT id FROM connector WHERE service = 'tunnel-gateway' AND id > ? ORDER BY id LIMIT ?",
    after,
    JUDGED_AT_ONCE,
  );
  const thresholds = changedThresholds(transaction);
  for (const { id } of rows) judge(transaction, { connectorId: String(id), now, thresholds });
  const last = rows.length < JUDGED_AT_ONCE ? undefined : rows.at(-1)?.["id"];
  return { last: last === undefined ? undefined : String(last) };
}

/** Judges a tunnel server whose health has just come, and keeps a sample; nothing for other services. */
export function takeTunnelHealth(
  transaction: Transaction,
  { connectorId, now }: { readonly connectorId: string; readonly now: number },
): void {
  const details = judgeTunnelServer(transaction, { connectorId, now });
  if (details === undefined) return;
  const values = details.flatMap(({ name, value }) => (value === null ? [] : [[name, value]]));
  transaction.run(
    `INSERT INTO tunnel_health_sample (connector_id, at, figures) VALUES (?, ?, ?)
     ON CONFLICT (connector_id, at) DO UPDATE SET figures = excluded.figures`,
    connectorId,
    now - (now % SAMPLE_STEP_MS),
    JSON.stringify(Object.fromEntries(values)),
  );
}

/** Judges a tunnel server of which something was heard; undefined for other services. For use inside other operations. */
export function judgeTunnelServer(
  transaction: Transaction,
  { connectorId, now }: { readonly connectorId: string; readonly now: number },
): readonly HealthDetail[] | undefined {
  return judge(transaction, { connectorId, now, thresholds: changedThresholds(transaction) });
}

function judge(
  transaction: Transaction,
  of: { readonly connectorId: string; readonly now: number; readonly thresholds: Thresholds },
): readonly HealthDetail[] | undefined {
  const { connectorId, now, thresholds } = of;
  const row = transaction.get(
    `SELECT c.connected_at, c.last_seen_at, c.configuration_version_applied, c.configuration_error, h.snapshot,
       h.received_at, d.version, d.created_at, t.id AS configuration_id, t.network, t.ipv6Network, t.listenPort
     FROM connector c LEFT JOIN connector_health h ON h.connector_id = c.id
       LEFT JOIN desired_configuration d ON d.connector_id = c.id AND d.version =
         (SELECT max(version) FROM desired_configuration WHERE connector_id = c.id)
       LEFT JOIN tunnel_server v ON v.connector_id = c.id
       LEFT JOIN tunnel_site s ON s.id = v.site_id
       LEFT JOIN tunnel_configuration t ON t.id = s.microsoftTunnelConfigurationId
     WHERE c.id = ? AND c.service = 'tunnel-gateway'`,
    connectorId,
  );
  if (row === undefined) return undefined;
  const { status, details } = tunnelServerHealth({ ...reportOf(row), now, thresholds });
  transaction.run(
    `INSERT INTO tunnel_server_health (connector_id, status, details, judged_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (connector_id) DO UPDATE SET status = excluded.status, details = excluded.details,
       judged_at = excluded.judged_at`,
    connectorId,
    status,
    JSON.stringify(details),
    now,
  );
  return details;
}

function reportOf(row: Row): Omit<TunnelServerReport, "now" | "thresholds"> {
  const number = (name: string) => (row[name] === null ? undefined : Number(row[name]));
  const text = (name: string) => (row[name] === null ? null : String(row[name]));
  const snapshot = text("snapshot");
  const refusal = text("configuration_error");
  return {
    connectedAt: number("connected_at"),
    lastSeenAt: number("last_seen_at"),
    health: snapshot === null ? undefined : (JSON.parse(snapshot) as HealthSnapshot),
    healthAt: number("received_at"),
    version: SUITE_VERSION,
    configuration: {
      desired: number("version") ?? 0,
      desiredAt: number("created_at") ?? 0,
      applied: Number(row["configuration_version_applied"]),
      refusal: refusal === null ? undefined : JSON.parse(refusal),
    },
    site:
      row["configuration_id"] === null
        ? undefined
        : {
            network: text("network"),
            ipv6Network: text("ipv6Network"),
            listenPort: Number(row["listenPort"]),
          },
  };
}

function changedThresholds(transaction: Transaction): Thresholds {
  const rows = transaction.all(
    "SELECT id, healthy, unhealthy FROM tunnel_health_threshold LIMIT ?",
    TUNNEL_METRIC_NAMES.length,
  );
  return new Map(
    rows.map((row) => [
      String(row["id"]) as TunnelMetricName,
      { healthy: Number(row["healthy"]), unhealthy: Number(row["unhealthy"]) },
    ]),
  );
}

/** Changes a threshold, or puts it back to its default. */
function setTunnelThreshold(
  transaction: Transaction,
  { id, threshold, ...act }: TunnelThresholdChange,
): void {
  transaction.run("DELETE FROM tunnel_health_threshold WHERE id = ?", id);
  const { healthy, unhealthy } = threshold ?? TUNNEL_METRICS[id];
  if (threshold !== null) {
    transaction.run(
      "INSERT INTO tunnel_health_threshold (id, healthy, unhealthy) VALUES (?, ?, ?)",
      id,
      healthy,
      unhealthy,
    );
  }
  recordAct(transaction, act, AUDIT_EVENTS.tunnelThresholdChanged, { id, healthy, unhealthy });
}

/** The samples of one metric, oldest first. */
function tunnelHealthSeries(
  transaction: Transaction,
  { id, name, from, to }: TunnelSeriesRequest,
): readonly { readonly at: number; readonly value: number }[] {
  const rows = transaction.all(
    `SELECT at, value FROM (SELECT at, figures ->> ? AS value FROM tunnel_health_sample
       WHERE connector_id = ? AND at BETWEEN ? AND ?)
     WHERE value IS NOT NULL ORDER BY at LIMIT ?`,
    `$."${name}"`,
    id,
    from,
    to,
    MAX_POINTS,
  );
  return rows.map((row) => ({ at: Number(row["at"]), value: Number(row["value"]) }));
}

/** How tunnel servers fare, as judged here, and since when. */
export const tunnelHealthOperations = {
  judgeTunnelServers,
  setTunnelThreshold,
  tunnelHealthSeries,
};
