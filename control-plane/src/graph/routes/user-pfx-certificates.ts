import { ConnectorError } from "@isthmus/shared/errors";
import { MAX_PFX_CHARACTERS } from "@isthmus/shared/link/messages";
import { z } from "zod";
import { bodyFault } from "../../core/body-faults.ts";
import { given, parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

/** userPfxCertificate of Microsoft Graph (beta): its names, values and keys; what the service sets is passed over. */

const base64 = z
  .string()
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, "not base64")
  .min(4);
const moment = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));

const properties = z.strictObject({
  "@odata.type": z.string().max(128).optional(),
  id: z.string().max(128).optional(),
  createdDateTime: z.string().max(64).optional(),
  lastModifiedDateTime: z.string().max(64).optional(),
  thumbprint: z
    .string()
    .regex(/^[0-9A-Fa-f]{40}$/, "SHA-1 in hex")
    .transform((text) => text.toLowerCase()),
  intendedPurpose: z.enum(["unassigned", "smimeEncryption", "smimeSigning", "vpn", "wifi"]),
  userPrincipalName: z.string().min(1).max(256),
  startDateTime: moment,
  expirationDateTime: moment,
  providerName: z.string().min(1).max(256),
  keyName: z.string().min(1).max(64),
  paddingScheme: z.enum(["none", "oaepSha256", "oaepSha384", "oaepSha512"]),
  encryptedPfxBlob: base64.max(MAX_PFX_CHARACTERS),
  encryptedPfxPassword: base64.max(2_048),
});
const changes = properties.partial();

const RESOURCE = "userPfxCertificates";

export function userPfxRoutes(api: ApiDependencies): Route[] {
  return [
    {
      method: "post",
      path: `/${RESOURCE}`,
      permission: "pfx.write",
      handle: (request) => create(api, request),
    },
    // Graph names an entity in parentheses, with quotes or (its own import tool) without, or as a segment.
    ...[`/${RESOURCE}\\(:id\\)`, `/${RESOURCE}/:id`].flatMap((path) => entityRoutes(api, path)),
    {
      method: "get",
      path: `/${RESOURCE}\\(:id\\)`,
      permission: "pfx.read",
      handle: async (request) => ({
        status: 200,
        body: await readEntity(api.listing, RESOURCE, idOf(request), request.query),
      }),
    },
  ];
}

function entityRoutes(api: ApiDependencies, path: string): Route[] {
  return [
    { method: "patch", path, permission: "pfx.write", handle: (request) => change(api, request) },
    {
      method: "delete",
      path,
      permission: "pfx.write",
      handle: async (request) => {
        const condition = given({ ifModifiedAt: modifiedAt(request) });
        await api.records.run("removeUserPfx", { ...request.act, id: idOf(request), ...condition });
        return { status: 204 };
      },
    },
  ];
}

async function create(api: ApiDependencies, request: ApiRequest) {
  const body = parseBody(properties, request.body);
  const pfx = { ...stored(body), ...request.act };
  const { id } = await api.records.run("createUserPfx", pfx);
  return { status: 201, body: await readEntity(api.listing, RESOURCE, id) };
}

async function change(api: ApiDependencies, request: ApiRequest) {
  const body = parseBody(changes, request.body);
  const id = idOf(request);
  if (body.thumbprint !== undefined && !id.endsWith(`-${body.thumbprint}`)) {
    throw bodyFault("thumbprint", "another certificate needs another entity");
  }
  const condition = { ifModifiedAt: modifiedAt(request) };
  await api.records.run("changeUserPfx", {
    ...given({ ...stored(body), ...condition }),
    ...request.act,
    id,
  });
  return { status: 200, body: await readEntity(api.listing, RESOURCE, id) };
}

function stored<Body extends z.infer<typeof changes>>(body: Body) {
  return {
    thumbprint: body.thumbprint as Body["thumbprint"],
    intendedPurpose: body.intendedPurpose as Body["intendedPurpose"],
    userPrincipalName: body.userPrincipalName as Body["userPrincipalName"],
    startsAt: body.startDateTime as Body["startDateTime"],
    expiresAt: body.expirationDateTime as Body["expirationDateTime"],
    providerName: body.providerName as Body["providerName"],
    keyName: body.keyName as Body["keyName"],
    paddingScheme: body.paddingScheme as Body["paddingScheme"],
    encryptedPfxBlob: body.encryptedPfxBlob as Body["encryptedPfxBlob"],
    encryptedPfxPassword: body.encryptedPfxPassword as Body["encryptedPfxPassword"],
  };
}

function idOf(request: ApiRequest): string {
  return parameter(request, "id").replace(/^'(.*)'$/, "$1");
}

/** `If-Match` holds the lastModifiedDateTime that the change is about. */
function modifiedAt({ ifMatch }: ApiRequest): number | undefined {
  if (ifMatch === undefined || ifMatch === "*") return undefined;
  const at = Date.parse(ifMatch);
  if (!Number.isNaN(at)) return at;
  throw new ConnectorError("user-pfx-conflict", "If-Match holds no lastModifiedDateTime");
}
