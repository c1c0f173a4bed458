import { ConnectorError } from "@isthmus/shared/errors";
import { z } from "zod";
import { bodyFault } from "../../core/body-faults.ts";
import {
  isThresholdInOrder,
  TUNNEL_METRIC_NAMES,
  TUNNEL_METRICS,
  type TunnelMetricName,
} from "../../core/tunnel-metrics.ts";
import type { HealthDetail } from "../../core/tunnel-server-health.ts";
import { parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

/** Metrics, thresholds and actions of tunnel servers, as Graph beta has them (intune-mstunnel). */

const metricName = z.enum(TUNNEL_METRIC_NAMES);
const wantedMetrics = z.strictObject({
  metricNames: z.array(metricName).max(TUNNEL_METRIC_NAMES.length).default([]),
});
const dateTime = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const wantedSeries = z.strictObject({
  metricName,
  startDateTime: dateTime,
  endDateTime: dateTime,
});
const limit = z.int().min(-1_000_000_000).max(1_000_000_000);
const thresholdChange = z.strictObject({
  healthyThreshold: limit.optional(),
  unhealthyThreshold: limit.optional(),
});

const SERVERS = "microsoftTunnelServers";
const THRESHOLDS = "microsoftTunnelHealthThresholds";
/** A server stands by itself, and below its site as in Graph. */
const SERVER_PATHS = [`/${SERVERS}/:id`, `/microsoftTunnelSites/:siteId/${SERVERS}/:id`];

/** What is asked for in vain, and what to do instead. */
const NOT_HERE = {
  requestUpgrade:
    "Gateways are upgraded where they run, with their package or image; nothing upgrades them from here",
  logs: "A gateway's logs stay on its host: read them there, or from where the host sends them",
} as const;

export function tunnelHealthRoutes(api: ApiDependencies): Route[] {
  return [
    ...SERVER_PATHS.flatMap((path) => serverRoutes(api, path)),
    {
      method: "post",
      path: "/microsoftTunnelSites/:id/requestUpgrade",
      permission: "tunnel.write",
      handle: async (request) => {
        await readEntity(api.listing, "microsoftTunnelSites", parameter(request, "id"));
        throw new ConnectorError("not-implemented", NOT_HERE.requestUpgrade);
      },
    },
    ...thresholdRoutes(api),
  ];
}

function serverRoutes(api: ApiDependencies, path: string): Route[] {
  const collections = ["createServerLogCollectionRequest", "generateServerLogCollectionRequest"];
  return [
    {
      method: "post",
      path: `${path}/getHealthMetrics`,
      permission: "tunnel.read",
      handle: (request) => healthMetrics(api, request),
    },
    {
      method: "post",
      path: `${path}/getHealthMetricTimeSeries`,
      permission: "tunnel.read",
      handle: (request) => healthSeries(api, request),
    },
    ...collections.map(
      (action): Route => ({
        method: "post",
        path: `${path}/${action}`,
        permission: "tunnel.write",
        handle: async (request) => {
          await readServer(api, request);
          throw new ConnectorError("not-implemented", NOT_HERE.logs);
        },
      }),
    ),
  ];
}

/** The server that the path names; one of another site is not there. */
async function readServer({ listing }: ApiDependencies, request: ApiRequest) {
  const id = parameter(request, "id");
  const { siteId } = request.parameters;
  const server = await readEntity(listing, SERVERS, id);
  if (siteId === undefined || server["microsoftTunnelSiteId"] === siteId) return server;
  throw new ConnectorError("not-found", `Site ${siteId.slice(0, 200)} has no server ${id}`);
}

/** Pairs of name and value, as last judged; what the server does not report is left out. */
async function healthMetrics(api: ApiDependencies, request: ApiRequest) {
  const { metricNames } = parseBody(wantedMetrics, request.body);
  const server = await readServer(api, request);
  const details = (server["healthDetails"] ?? []) as readonly HealthDetail[];
  const wanted: readonly string[] = metricNames.length === 0 ? TUNNEL_METRIC_NAMES : metricNames;
  const value = details
    .filter((detail) => detail.value !== null && wanted.includes(detail.name))
    .map((detail) => ({ name: detail.name, value: detail.value }));
  return { status: 200, body: { value } };
}

async function healthSeries(api: ApiDependencies, request: ApiRequest) {
  const wanted = parseBody(wantedSeries, request.body);
  await readServer(api, request);
  const points = await api.records.run("tunnelHealthSeries", {
    id: parameter(request, "id"),
    name: wanted.metricName,
    from: wanted.startDateTime,
    to: wanted.endDateTime,
  });
  const value = points.map((point) => ({
    dateTime: new Date(point.at).toISOString(),
    value: point.value,
  }));
  return { status: 200, body: { value } };
}

/** PATCH changes a threshold, DELETE puts it back to its default; the metrics themselves are given. */
function thresholdRoutes(api: ApiDependencies): Route[] {
  const path = `/${THRESHOLDS}/:id`;
  return [
    {
      method: "patch",
      path,
      permission: "tunnel.write",
      handle: (request) => changeThreshold(api, request),
    },
    {
      method: "delete",
      path,
      permission: "tunnel.write",
      handle: async (request) => {
        const { id } = await readThreshold(api, request);
        await api.records.run("setTunnelThreshold", { ...request.act, id, threshold: null });
        return { status: 204 };
      },
    },
  ];
}

async function readThreshold({ listing }: ApiDependencies, request: ApiRequest) {
  const threshold = await readEntity(listing, THRESHOLDS, parameter(request, "id"));
  return {
    id: threshold["id"] as TunnelMetricName,
    healthy: Number(threshold["healthyThreshold"]),
    unhealthy: Number(threshold["unhealthyThreshold"]),
  };
}

async function changeThreshold(api: ApiDependencies, request: ApiRequest) {
  const change = parseBody(thresholdChange, request.body);
  const { id, ...present } = await readThreshold(api, request);
  const threshold = {
    healthy: change.healthyThreshold ?? present.healthy,
    unhealthy: change.unhealthyThreshold ?? present.unhealthy,
  };
  if (!isThresholdInOrder(TUNNEL_METRICS[id], threshold)) {
    const worse = TUNNEL_METRICS[id].isGood === "low" ? "below" : "above";
    throw bodyFault("unhealthyThreshold", `${worse} healthyThreshold`);
  }
  await api.records.run("setTunnelThreshold", { ...request.act, id, threshold });
  return { status: 200, body: await readEntity(api.listing, THRESHOLDS, id) };
}
