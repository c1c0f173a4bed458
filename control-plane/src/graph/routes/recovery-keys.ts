import { ConnectorError } from "@isthmus/shared/errors";
import { z } from "zod";
import { createRevealKeys, openSealed, publicKeyOfSecret } from "../../core/recovery-key-seal.ts";
import { askSiteAction, OPERATIONS } from "../ask-site-action.ts";
import { parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { equals, notFound, readEntity } from "../listing.ts";
import { findDevice } from "../record-ids.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

/**
 * Recovery keys of a device, in two steps: who asks gets a secret, and with the secret the keys once the bridge has answered, one time.
 */

const nothing = z.strictObject({});
const reading = z.strictObject({
  secret: z
    .string()
    .regex(
      /^[A-Za-z0-9_-]{43}$/,
      "the secret that revealRecoveryKey was answered with, 43 characters",
    ),
});

export function recoveryKeyRoutes(api: ApiDependencies): Route[] {
  const path = "/managedDevices/:id/revealRecoveryKey";
  return [
    {
      method: "post",
      path,
      permission: "actions.revealKey",
      handle: (request) => ask(api, request),
    },
    {
      method: "post",
      path: `${path}/:operationId/read`,
      permission: "actions.revealKey",
      handle: (request) => read(api, request),
    },
  ];
}

async function ask(api: ApiDependencies, request: ApiRequest) {
  parseBody(nothing, request.body ?? {});
  const { secret, publicKey } = createRevealKeys();
  const target = { managedDeviceId: parameter(request, "id") };
  const id = await askSiteAction(api, request, target, {
    kind: "site.recovery-key",
    action: "revealRecoveryKey",
    payload: {},
    revealKey: publicKey,
  });
  const operation = await readEntity(api.listing, OPERATIONS, id);
  return { status: 202, body: { ...operation, secret } };
}

async function read(api: ApiDependencies, request: ApiRequest) {
  const id = parameter(request, "operationId");
  // What is not there is said before anything of the body.
  await requireOfDevice(api, request, id);
  const { secret } = parseBody(reading, request.body ?? {});
  const publicKey = publicKeyOfSecret(secret);
  const { sealed } = await api.records.run("takeRevealedKey", { ...request.act, id, publicKey });
  return { status: 200, body: { value: openSealed(secret, sealed) } };
}

async function requireOfDevice(api: ApiDependencies, request: ApiRequest, id: string) {
  const deviceId = parameter(request, "id");
  const device = await findDevice(api, deviceId);
  if (device === undefined) throw notFound(deviceId, "managedDevices");
  const [asked] = await api.records.page(
    {
      resource: OPERATIONS,
      condition: equals(OPERATIONS, "id", id),
      order: [{ property: "id", isDescending: false }],
      top: 1,
    },
    ["managedDeviceId", "kind"],
  );
  if (asked?.["managedDeviceId"] === device.recordId && asked["kind"] === "recovery-key") return;
  throw new ConnectorError(
    "recovery-key-unknown",
    `No recovery key of this device was asked for under ${id.slice(0, 64)}: ask by POST managedDevices/{id}/revealRecoveryKey, whose answer has the id`,
  );
}
