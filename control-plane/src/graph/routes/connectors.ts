import { createHash } from "node:crypto";
import { bridgeConfiguration } from "@isthmus/shared/link/desired-sites";
import { MAX_NESTING, service } from "@isthmus/shared/link/messages";
import { isNestedAtMost } from "@isthmus/shared/link/nesting";
import { z } from "zod";
import { bodyFault } from "../../core/body-faults.ts";
import { requireConfigurationFits } from "../../core/configuration-size.ts";
import { displayName, given, parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

/** Our own limits. */
const DEFAULT_TOKEN_MINUTES = 60;
const MAX_TOKEN_MINUTES = 30 * 24 * 60;
const TOKEN_SECRET_BYTES = 32;

const newToken = z.strictObject({
  service,
  displayName: displayName.optional(),
  validityMinutes: z.number().int().min(1).max(MAX_TOKEN_MINUTES).default(DEFAULT_TOKEN_MINUTES),
});

const connectorChange = z.strictObject({
  displayName: displayName.optional(),
  isDisabled: z.boolean().optional(),
});

const newConfiguration = z.strictObject({
  configuration: z
    .record(z.string(), z.unknown())
    .refine((value) => isNestedAtMost(value, MAX_NESTING), "nested too deeply"),
});

/** Services whose configuration is refused here where no connector would take it: a fault is better heard of at once. */
const DESIRED: Readonly<Record<string, z.ZodType>> = {
  "comgmt-bridge": z.object({ configuration: bridgeConfiguration }),
};

/** What administrators do to connectors. */
export function connectorRoutes(api: ApiDependencies): Route[] {
  return [
    {
      method: "post",
      path: "/enrolmentTokens",
      permission: "connectors.manage",
      handle: (request) => createToken(api, request),
    },
    {
      method: "delete",
      path: "/enrolmentTokens/:id",
      permission: "connectors.manage",
      handle: async (request) => {
        const secretHash = parameter(request, "id");
        await api.records.run("deleteEnrolmentToken", { ...request.act, secretHash });
        return { status: 204 };
      },
    },
    {
      method: "patch",
      path: "/connectors/:id",
      permission: "connectors.manage",
      handle: async (request) => {
        const id = parameter(request, "id");
        const change = given(parseBody(connectorChange, request.body));
        await api.records.run("changeConnector", { ...change, ...request.act, id });
        if (change.isDisabled === true) api.link.disconnect(id);
        return { status: 200, body: await readEntity(api.listing, "connectors", id) };
      },
    },
    {
      method: "post",
      path: "/connectors/:id/release",
      permission: "connectors.manage",
      handle: async (request) => {
        const id = parameter(request, "id");
        await api.records.run("liftQuarantine", { ...request.act, id });
        return { status: 200, body: await readEntity(api.listing, "connectors", id) };
      },
    },
    {
      method: "put",
      path: "/connectors/:id/desiredConfiguration",
      permission: "configurations.write",
      handle: (request) => writeConfiguration(api, request),
    },
  ];
}

/** The token is shown once; the store keeps the hash of its secret. */
async function createToken(api: ApiDependencies, request: ApiRequest) {
  const { validityMinutes, ...wanted } = parseBody(newToken, request.body);
  const secret = api.random.bytes(TOKEN_SECRET_BYTES).toString("base64url");
  const secretHash = createHash("sha256").update(secret).digest("hex");
  const token = await api.enrolmentTokenText(secret);
  await api.records.run("createEnrolmentToken", {
    ...request.act,
    secretHash,
    service: wanted.service,
    displayName: wanted.displayName,
    expiresAt: request.act.now + validityMinutes * 60_000,
  });
  const entity = await readEntity(api.listing, "enrolmentTokens", secretHash);
  return { status: 201, body: { ...entity, token } };
}

async function writeConfiguration(api: ApiDependencies, request: ApiRequest) {
  const connectorId = parameter(request, "id");
  const { configuration } = parseBody(newConfiguration, request.body);
  requireConfigurationFits(JSON.stringify(configuration));
  const { service: of } = await readEntity(api.listing, "connectors", connectorId);
  const schema = Object.hasOwn(DESIRED, String(of)) ? DESIRED[String(of)] : undefined;
  // What is kept is what was written: defaults are the connector's, whose release may have others.
  if (schema !== undefined) parseBody(schema, request.body);
  const { version } = await api.records.run("writeConfiguration", {
    ...request.act,
    connectorId,
    configuration,
    ...ifVersionOf(request.ifMatch),
  });
  api.unsigned.nudge();
  const id = `${connectorId}.${version}`;
  return { status: 200, body: await readEntity(api.listing, "desiredConfigurations", id) };
}

function ifVersionOf(ifMatch: string | undefined): { ifVersion?: number } {
  if (ifMatch === undefined || ifMatch === "*") return {};
  if (/^\d{1,15}$/.test(ifMatch)) return { ifVersion: Number(ifMatch) };
  throw bodyFault("If-Match", "expected the number of a version, such as 3");
}
