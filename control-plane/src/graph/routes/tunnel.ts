import { z } from "zod";
import { propertiesOf, type ResourceName } from "../../core/resources.ts";
import { advancedSettingFaults, DOMAIN, SITE_LIMITS } from "../../core/tunnel-site-vpn.ts";
import { displayName, identifier, note, parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

/** Microsoft Tunnel's objects by the property names of Graph beta (intune-mstunnel). */

const MAX_ENTRIES = 500;
const MAX_SETTINGS = 100;
const text = z.string().min(1).max(1_024);
const texts = z.array(text).max(MAX_ENTRIES);
const routes = z
  .array(z.union([z.cidrv4(), z.cidrv6()], "expected a network such as 10.0.0.0/8"))
  .max(SITE_LIMITS.routes);
const domain = z.string().regex(DOMAIN, "expected a domain");
const advancedSettings = z
  .array(z.strictObject({ name: text, value: z.string().max(1_024) }))
  .max(MAX_SETTINGS)
  .superRefine((settings, context) => {
    for (const { index, message } of advancedSettingFaults(settings)) {
      context.addIssue({ code: "custom", path: [index], message });
    }
  });
const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,7})?$/, "HH:MM:SS");

const site = z.strictObject({
  displayName,
  description: note.nullable().default(null),
  publicAddress: text,
  upgradeWindowUtcOffsetInMinutes: z.number().int().min(-840).max(840).default(0),
  upgradeWindowStartTime: timeOfDay.default("00:00:00"),
  upgradeWindowEndTime: timeOfDay.default("00:00:00"),
  upgradeAutomatically: z.boolean().default(false),
  upgradeAvailable: z.boolean().default(false),
  internalNetworkProbeUrl: z
    .url({ protocol: /^https?$/ })
    .max(2_048)
    .nullable()
    .default(null),
  roleScopeTagIds: texts.default([]),
  microsoftTunnelConfigurationId: identifier.nullable().default(null),
});

const configuration = z.strictObject({
  displayName,
  description: note.nullable().default(null),
  network: z.cidrv4().nullable().default(null),
  ipv6Network: z.cidrv6().nullable().default(null),
  dnsServers: z
    .array(z.union([z.ipv4(), z.ipv6()]))
    .max(SITE_LIMITS.dnsServers)
    .default([]),
  defaultDomainSuffix: domain.nullable().default(null),
  routeIncludes: routes.default([]),
  routeExcludes: routes.default([]),
  splitDNS: z.array(domain).max(SITE_LIMITS.splitDns).default([]),
  listenPort: z.number().int().min(1).max(65_535).default(443),
  advancedSettings: advancedSettings.default([]),
  roleScopeTagIds: texts.default([]),
  disableUdpConnections: z.boolean().default(false),
});

const server = z.strictObject({ microsoftTunnelSiteId: identifier.nullable() });

interface ObjectKind {
  readonly resource: ResourceName;
  readonly schema: z.ZodType<Readonly<Record<string, unknown>>>;
  readonly put: "putTunnelSite" | "putTunnelConfiguration";
  readonly remove: "deleteTunnelSite" | "deleteTunnelConfiguration";
}

const KINDS: readonly ObjectKind[] = [
  {
    resource: "microsoftTunnelSites",
    schema: site,
    put: "putTunnelSite",
    remove: "deleteTunnelSite",
  },
  {
    resource: "microsoftTunnelConfigurations",
    schema: configuration,
    put: "putTunnelConfiguration",
    remove: "deleteTunnelConfiguration",
  },
];

/**
 * Sites and configurations are kept and related; which site a server belongs to is said at the server. What a site says goes to
 * its servers as a next version of their desired configurations.
 */
export function tunnelRoutes(api: ApiDependencies): Route[] {
  return [
    ...KINDS.flatMap((kind) => objectRoutes(api, kind)),
    {
      method: "patch",
      path: "/microsoftTunnelServers/:id",
      permission: "tunnel.write",
      handle: async (request) => {
        const id = parameter(request, "id");
        const { microsoftTunnelSiteId: siteId } = parseBody(server, request.body);
        await api.records.run("assignTunnelServer", { ...request.act, id, siteId });
        api.unsigned.nudge();
        return { status: 200, body: await readEntity(api.listing, "microsoftTunnelServers", id) };
      },
    },
  ];
}

function objectRoutes(api: ApiDependencies, kind: ObjectKind): Route[] {
  const path = `/${kind.resource}`;
  return [
    {
      method: "post",
      path,
      permission: "tunnel.write",
      handle: async (request) => {
        const id = api.random.bytes(16).toString("hex");
        return { status: 201, body: await put(api, kind, request, id, writable(request.body)) };
      },
    },
    {
      method: "patch",
      path: `${path}/:id`,
      permission: "tunnel.write",
      handle: async (request) => {
        const id = parameter(request, "id");
        const present = await readEntity(api.listing, kind.resource, id);
        const merged = mergedBody(present, request.body);
        return { status: 200, body: await put(api, kind, request, id, merged) };
      },
    },
    {
      method: "delete",
      path: `${path}/:id`,
      permission: "tunnel.write",
      handle: async (request) => {
        await api.records.run(kind.remove, { ...request.act, id: parameter(request, "id") });
        return { status: 204 };
      },
    },
  ];
}

/** PATCH keeps what the body does not name; then the whole is checked like a new one. */
function mergedBody(present: Readonly<Record<string, unknown>>, body: unknown): unknown {
  const change = writable(body);
  const { routesInclude: _includes, routesExclude: _excludes, ...rest } = present;
  return isObject(change) ? { ...(writable(rest) as object), ...change } : change;
}

/** What Graph's clients send along and cannot set. */
const READ_ONLY = ["id", "lastUpdateDateTime", "@odata.context", "@odata.type"];
/** Graph's older names; where a body has both, the newer one counts. */
const RENAMED = { routesInclude: "routeIncludes", routesExclude: "routeExcludes" } as const;

function writable(body: unknown): unknown {
  if (!isObject(body)) return body;
  const rest = Object.entries(body).filter(([name]) => !READ_ONLY.includes(name));
  const named = Object.entries(RENAMED).flatMap(([older, newer]) =>
    older in body && !(newer in body) ? [[newer, body[older]] as const] : [],
  );
  const kept = rest.filter(([name]) => !(name in RENAMED));
  return bound(Object.fromEntries([...kept, ...named]));
}

const BIND = "microsoftTunnelConfiguration@odata.bind";
const BOUND_TO = /\/microsoftTunnelConfigurations(?:\('([^'/]+)'\)|\/([^'/]+))$/;

/** A site is given its configuration by an address, too, as Graph's clients do it. */
function bound(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { [BIND]: address, ...rest } = body;
  const match = typeof address === "string" ? BOUND_TO.exec(address) : null;
  return match === null ? body : { ...rest, microsoftTunnelConfigurationId: match[1] ?? match[2] };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function put(
  api: ApiDependencies,
  kind: ObjectKind,
  { act }: ApiRequest,
  id: string,
  body: unknown,
) {
  const values = storedValues(kind.resource, parseBody(kind.schema, body));
  await api.records.run(kind.put, { ...act, id, values });
  api.unsigned.nudge();
  return await readEntity(api.listing, kind.resource, id);
}

function storedValues(
  resource: ResourceName,
  values: Readonly<Record<string, unknown>>,
): Record<string, string | number | null> {
  const properties = propertiesOf(resource);
  const entries = Object.entries(values).map(([name, value]) => [
    name,
    properties[name]?.type === "json" ? JSON.stringify(value) : storedValue(value),
  ]);
  return Object.fromEntries(entries);
}

function storedValue(value: unknown): string | number | null {
  if (typeof value === "string" || typeof value === "number") return value;
  return typeof value === "boolean" ? Number(value) : null;
}
