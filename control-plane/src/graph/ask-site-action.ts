import { createHash } from "node:crypto";
import { COLLECTION_ID } from "@isthmus/shared/link/site-messages";
import { randomGuid } from "@isthmus/shared/random";
import { z } from "zod";
import { bodyFault } from "../core/body-faults.ts";
import type { SiteCommandKind } from "../core/site-action.ts";
import type { WantedTarget } from "../core/site-action-records.ts";
import { given } from "./body.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { readEntity } from "./listing.ts";
import { type ApiRequest, parameter } from "./route.ts";

/** How routes ask for actions at sites: target, time to live, one action for each Idempotency-Key. */

export const OPERATIONS = "configurationManagerClientOperations";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** How long a device may take an action up: unless the request says something else, and at most. */
const VALIDITY: Readonly<
  Record<SiteCommandKind, { readonly default: number; readonly max: number }>
> = {
  "site.notify": { default: 60 * MINUTE_MS, max: 7 * DAY_MS },
  "site.script": { default: DAY_MS, max: 7 * DAY_MS },
  "site.query": { default: 60 * MINUTE_MS, max: 7 * DAY_MS },
  "site.application": { default: DAY_MS, max: 7 * DAY_MS },
  "site.recovery-key": { default: 10 * MINUTE_MS, max: 10 * MINUTE_MS },
  "site.custom-properties": { default: 60 * MINUTE_MS, max: DAY_MS },
  "site.refresh": { default: 10 * MINUTE_MS, max: 60 * MINUTE_MS },
  "site.cancel": { default: DAY_MS, max: DAY_MS },
};
const MAX_NAMED_DEVICES = 1_000;
const KEY = /^[\x21-\x7e]{1,128}$/;

/** Where an action goes, in the body of a request at a site. */
export const targetBody = z.union(
  [
    z.strictObject({ collectionId: z.union([z.string().regex(COLLECTION_ID), z.guid()]) }),
    z.strictObject({
      resourceIds: z.array(z.number().int().min(1).max(0x7fff_ffff)).min(1).max(MAX_NAMED_DEVICES),
    }),
    z.strictObject({
      managedDeviceIds: z.array(z.string().min(1).max(128)).min(1).max(MAX_NAMED_DEVICES),
    }),
  ],
  `expected one of {"collectionId":"CM100014"}, {"resourceIds":[16777220]} and {"managedDeviceIds":["..."]}, with 1 to ${MAX_NAMED_DEVICES} devices`,
);

/** Until when a device may take it up. */
export const expiration = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .optional();

export interface WantedAction {
  readonly kind: SiteCommandKind;
  readonly action: string;
  readonly subject?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>>;
  /** Of the command, without source and target. */
  readonly payload: Readonly<Record<string, unknown>>;
  readonly expiresAt?: number | undefined;
  readonly revealKey?: string;
}

/** The target that the path names: a device; or a site, and then the body says what there. */
export function targetOf(
  request: ApiRequest,
  target: z.infer<typeof targetBody> | undefined,
): WantedTarget {
  return target === undefined
    ? { managedDeviceId: parameter(request, "id") }
    : { source: parameter(request, "source"), ...target };
}

/** Asks for an action, and answers its id. Throws as `requestSiteAction` does. */
export async function askSiteAction(
  api: ApiDependencies,
  request: ApiRequest,
  target: WantedTarget,
  wanted: WantedAction,
): Promise<string> {
  const { kind, action, details = {}, payload, revealKey } = wanted;
  const { id } = await api.records.run("requestSiteAction", {
    ...request.act,
    id: randomGuid(api.random),
    commandId: api.random.bytes(16).toString("hex"),
    ...{ target, kind, action, details, payload },
    expiresAt: expiryOf(request, wanted),
    requestHash: hashOf(request, wanted),
    ...given({ subject: wanted.subject, revealKey }),
    // A reveal has a secret of its own each time, so that it cannot be answered twice.
    ...given({ requestKey: revealKey === undefined ? keyOf(request) : undefined }),
  });
  api.unsigned.nudge();
  return id;
}

/** 202 with the operation: the bridge does it; the operation says how far it is. */
export async function acceptSiteAction(
  api: ApiDependencies,
  request: ApiRequest,
  target: WantedTarget,
  wanted: WantedAction,
) {
  const id = await askSiteAction(api, request, target, wanted);
  return { status: 202, body: await readEntity(api.listing, OPERATIONS, id) };
}

function expiryOf({ act }: ApiRequest, { kind, expiresAt }: WantedAction): number {
  const { default: usual, max } = VALIDITY[kind];
  const at = expiresAt ?? act.now + usual;
  if (at > act.now && at <= act.now + max) return at;
  const latest = new Date(act.now + max).toISOString();
  throw bodyFault(
    "expirationDateTime",
    `expected a time within the next ${max / MINUTE_MS} minutes, until ${latest}`,
  );
}

function keyOf({ idempotencyKey }: ApiRequest): string | undefined {
  if (idempotencyKey === undefined || KEY.test(idempotencyKey)) return idempotencyKey;
  throw bodyFault("Idempotency-Key", "expected 1 to 128 visible ASCII characters");
}

function hashOf({ parameters, body }: ApiRequest, { kind, action }: WantedAction): string {
  const asked = JSON.stringify([kind, action, parameters, body ?? null]);
  return createHash("sha256").update(asked).digest("hex");
}
