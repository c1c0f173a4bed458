import { parseNameText } from "@isthmus/shared/x509/name-text";
import { z } from "zod";
import { identifier, parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

const recipient = {
  /** Of a certificate that the connector issued to the device. */
  recipientSerialNumber: z
    .string()
    .regex(/^[0-9a-f]{1,40}$/)
    .optional(),
  /** Or a certificate that the connector's guardrails list: DER in base64. */
  recipientCertificate: z.base64().min(4).max(16_384).optional(),
  /** The same again is the same order. */
  requestId: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,128}$/)
    .optional(),
};

const pkcsOrder = z.strictObject({
  connectorId: identifier,
  profileId: identifier,
  subject: z.string().min(1).max(1_024).optional(),
  subjectAltNames: z
    .array(
      z.strictObject({
        type: z.enum(["uri", "dns", "email", "upn"]),
        value: z.string().min(1).max(512),
      }),
    )
    .max(20)
    .default([]),
  ...recipient,
});

const pfxOrder = z.strictObject({
  connectorId: identifier,
  userPfxCertificateId: z.string().min(1).max(128),
  format: z.enum(["legacy", "modern"]).default("modern"),
  ...recipient,
});

/** Orders of private keys for devices. 202: the connector makes the envelope; `certificateDeliveries` has it then. */
export function certificateDeliveryRoutes(api: ApiDependencies): Route[] {
  return [
    {
      method: "post",
      path: "/managedDevices/:id/pkcsCertificates",
      permission: "certificates.issue",
      handle: (request) => orderPkcs(api, request),
    },
    {
      method: "post",
      path: "/managedDevices/:id/userPfxCertificates",
      permission: "pfx.write",
      handle: (request) => orderPfx(api, request),
    },
  ];
}

async function orderPkcs(api: ApiDependencies, request: ApiRequest) {
  const body = parseBody(pkcsOrder, request.body);
  const order = orderOf(api, request, body);
  const { profileId, subjectAltNames } = body;
  const subject = body.subject ?? `CN=${order.deviceId}`;
  parseNameText(subject);
  await api.records.run("requestPkcsCertificate", {
    ...order,
    profileId,
    subject,
    subjectAltNames,
  });
  return await queued(api, order.commandId);
}

async function orderPfx(api: ApiDependencies, request: ApiRequest) {
  const body = parseBody(pfxOrder, request.body);
  const order = orderOf(api, request, body);
  const { userPfxCertificateId, format } = body;
  await api.records.run("requestPfxDelivery", { ...order, userPfxCertificateId, format });
  return await queued(api, order.commandId);
}

function orderOf(
  api: ApiDependencies,
  request: ApiRequest,
  body: Pick<z.infer<typeof pkcsOrder>, "connectorId" | keyof typeof recipient>,
) {
  const { connectorId, recipientSerialNumber: serialNumber, recipientCertificate } = body;
  const commandId = api.random.bytes(16).toString("hex");
  return {
    ...request.act,
    commandId,
    requestId: body.requestId ?? commandId,
    connectorId,
    deviceId: parameter(request, "id"),
    recipient: recipientOf(serialNumber, recipientCertificate),
  };
}

function recipientOf(serialNumber: string | undefined, certificate: string | undefined) {
  if (serialNumber !== undefined) return { kind: "issued", serialNumber } as const;
  return certificate === undefined ? undefined : ({ kind: "listed", certificate } as const);
}

async function queued(api: ApiDependencies, commandId: string) {
  api.unsigned.nudge();
  return { status: 202, body: await readEntity(api.listing, "commands", commandId) };
}
