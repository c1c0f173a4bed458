import { ConnectorError } from "@isthmus/shared/errors";
import { commandPayloads } from "@isthmus/shared/link/messages";
import { z } from "zod";
import { identifier, parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

const VALIDITY_MS = 3_600_000;

/** Only what changes nothing at the connector can be asked for by itself; the rest follows from what it is about. */
const newCommand = z.discriminatedUnion("kind", [
  z.strictObject({
    connectorId: identifier,
    kind: z.enum(["health.report", "revocation.refresh"]),
  }),
  z.strictObject({
    connectorId: identifier,
    kind: z.literal("certificate.trace"),
    payload: commandPayloads["certificate.trace"],
  }),
]);

export function commandRoutes(api: ApiDependencies): Route[] {
  return [
    {
      method: "post",
      path: "/commands",
      permission: "commands.create",
      handle: (request) => createCommand(api, request),
    },
    {
      method: "post",
      path: "/commands/:id/cancel",
      permission: "commands.cancel",
      handle: (request) => cancelCommand(api, request),
    },
  ];
}

async function createCommand(api: ApiDependencies, request: ApiRequest) {
  const wanted = parseBody(newCommand, request.body);
  const id = api.random.bytes(16).toString("hex");
  await api.records.run("requestCommand", {
    ...request.act,
    ...wanted,
    id,
    payload: "payload" in wanted ? wanted.payload : {},
    expiresAt: request.act.now + VALIDITY_MS,
  });
  api.unsigned.nudge();
  return { status: 201, body: await readEntity(api.listing, "commands", id) };
}

/** 200 where it was withdrawn before it left, 202 where the connector has to be asked. */
async function cancelCommand(api: ApiDependencies, request: ApiRequest) {
  const id = parameter(request, "id");
  const outcome = await api.records.run("requestCancellation", {
    ...request.act,
    id,
    cancelId: api.random.bytes(16).toString("hex"),
  });
  if (outcome === "unknown-command") {
    throw new ConnectorError("command-unknown", `There is no command ${id.slice(0, 200)}`);
  }
  if (outcome === "ended") {
    throw new ConnectorError("command-ended", `Command ${id} has ended already`);
  }
  api.unsigned.nudge();
  const body = await readEntity(api.listing, "commands", id);
  return { status: outcome === "withdrawn" ? 200 : 202, body };
}
