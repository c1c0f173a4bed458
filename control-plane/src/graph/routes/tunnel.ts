import { z } from "zod";
import { propertiesOf, type ResourceName } from "../../core/resources.ts";
import { displayName, identifier, note, parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

/** Microsoft Tunnel's objects by the property names of Graph beta (intune-mstunnel). */

const MAX_ENTRIES = 500;
const text = z.string().min(1).max(1_024);
const texts = z.array(text).max(MAX_ENTRIES);
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
    .max(16)
    .default([]),
  defaultDomainSuffix: text.nullable().default(null),
  routeIncludes: texts.default([]),
  routeExcludes: texts.default([]),
  splitDNS: texts.default([]),
  listenPort: z.number().int().min(1).max(65_535).default(443),
  advancedSettings: z
    .array(z.strictObject({ name: text, value: z.string().max(1_024) }))
    .max(100)
    .default([]),
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

/** Sites and configurations are kept and related; which site a server belongs to is said at the server. */
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
        return { status: 201, body: await put(api, kind, request, id, request.body) };
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
  const { id: _id, lastUpdateDateTime: _at, "@odata.context": _context, ...rest } = present;
  return typeof body === "object" && body !== null && !Array.isArray(body)
    ? { ...rest, ...body }
    : body;
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
