import { commandPayloads } from "@isthmus/shared/link/messages";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { z } from "zod";
import { challengeFor, scepChallengeRequest } from "../../core/scep-challenge.ts";
import { parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

const revocation = z.strictObject({
  reason: commandPayloads["certificate.revoke"].shape.reason.default("unspecified"),
});

/** Challenges for devices that are to enrol, and the revocation of what was issued. */
export function certificateRoutes(api: ApiDependencies): Route[] {
  return [
    {
      method: "post",
      path: "/scepChallenges",
      permission: "challenges.create",
      handle: (request) => createChallenge(api, request),
    },
    {
      method: "post",
      path: "/issuedCertificates/:id/revoke",
      permission: "certificates.revoke",
      handle: (request) => revoke(api, request),
    },
  ];
}

/** The challenge is shown once; what it permits is kept before it is signed. */
async function createChallenge(api: ApiDependencies, request: ApiRequest) {
  const wanted = parseBody(scepChallengeRequest, request.body);
  parseNameText(wanted.subject);
  const challenge = challengeFor(wanted, request.act.now, api.random);
  await api.records.run("recordChallenge", { ...request.act, challenge });
  const text = await api.signer.signChallenge(challenge);
  const entity = await readEntity(api.listing, "scepChallenges", challenge.jti);
  return { status: 201, body: { ...entity, challenge: text } };
}

/** 202: the connector revokes; the command says when it has. */
async function revoke(api: ApiDependencies, request: ApiRequest) {
  const { reason } = parseBody(revocation, request.body ?? {});
  const id = parameter(request, "id");
  const dot = id.lastIndexOf(".");
  const { commandId } = await api.records.run("requestRevocation", {
    ...request.act,
    connectorId: id.slice(0, Math.max(0, dot)),
    serialNumber: id.slice(dot + 1),
    reason,
    commandId: api.random.bytes(16).toString("hex"),
  });
  api.unsigned.nudge();
  return { status: 202, body: await readEntity(api.listing, "commands", commandId) };
}
