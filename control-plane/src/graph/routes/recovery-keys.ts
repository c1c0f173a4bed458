import { z } from "zod";
import { recordGuid } from "../../core/record-guid.ts";
import { createRevealKeys, openSealed, publicKeyOfSecret } from "../../core/recovery-key-seal.ts";
import { askSiteAction, OPERATIONS } from "../ask-site-action.ts";
import { parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { notFound, readEntity } from "../listing.ts";
import { findDevice } from "../record-ids.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

/**
 * Recovery keys of a device, in two steps: who asks gets a secret, and with the secret the keys once the bridge has answered, one time.
 */

const nothing = z.strictObject({});
const reading = z.strictObject({ secret: z.string().regex(/^[A-Za-z0-9_-]{43}$/) });

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
  const { secret } = parseBody(reading, request.body);
  const id = parameter(request, "operationId");
  await requireOfDevice(api, request, id);
  const publicKey = publicKeyOfSecret(secret);
  const { sealed } = await api.records.run("takeRevealedKey", { ...request.act, id, publicKey });
  return { status: 200, body: { value: openSealed(secret, sealed) } };
}

async function requireOfDevice(api: ApiDependencies, request: ApiRequest, id: string) {
  const device = await findDevice(api, parameter(request, "id"));
  const operation = await readEntity(api.listing, OPERATIONS, id);
  if (device === undefined || operation["managedDeviceId"] !== recordGuid(device.recordId)) {
    throw notFound(id, OPERATIONS);
  }
}
