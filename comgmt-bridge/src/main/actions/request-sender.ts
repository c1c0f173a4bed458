import { createHash } from "node:crypto";
import { ConnectorError, codeOf, ProtocolError } from "@isthmus/shared/errors";
import { ACTIONS_STREAM } from "@isthmus/shared/link/site-messages";
import type { StoredAction } from "../../core/actions/action-state.ts";
import type { ActionRequest } from "../../protocol/admin-service/action-requests.ts";
import { readOperationId } from "../../protocol/admin-service/answer.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";
import { lookUpOperation } from "./operation-lookup.ts";

/** `uncertain`: nobody knows yet; whoever watches the action finds out. */
export type Sent =
  | { readonly kind: "taken"; readonly operationId: number | undefined }
  | { readonly kind: "uncertain" };

export interface Sending {
  readonly action: Pick<StoredAction, "id" | "plan">;
  readonly resourceIds: readonly number[];
  readonly request: ActionRequest;
  readonly asking: Asking;
  /** Whether it is sent again by itself where it could not be sent now. */
  readonly isPatient?: boolean;
}

/** Codes after which the site may have done what was asked. */
const UNCERTAIN = new Set(["site-outcome-unknown", "site-unavailable"]);
/** An answer that came from behind the provider's front: the site has decided, and what it did can be seen at once. */
const DECIDED = new Set(["site-failed", "site-page", "site-status"]);

/**
 * Sends one request, once: its intent is stored before, its outcome after. Throws what the client throws where the site has
 * certainly not begun; its devices are `failed` then.
 */
export async function sendOnce(parts: ActionParts, sending: Sending): Promise<Sent> {
  const { store, clock, link, log } = parts.kernel;
  const { action, resourceIds, request } = sending;
  const digest = digestOf(request);
  const { id } = action;
  const n = await store.run("intendRequest", { id, at: clock.now(), resourceIds, digest });
  try {
    const operationId = await post(parts, sending).catch((error: unknown) => ({ error }));
    if (typeof operationId === "object") {
      return await afterFailure(parts, sending, n, operationId.error);
    }
    const settled = { id, at: clock.now(), n, state: "taken", operationId } as const;
    return await store.run("settleRequest", { ...settled, how: "answered" }).then(
      () => ({ kind: "taken", operationId }) as const,
      (error: unknown) => {
        // The site has it; that the store could not note it must not look like a refusal.
        log.error({ id, request: n, operationId, err: error }, "action.not-noted");
        return { kind: "uncertain" } as const;
      },
    );
  } finally {
    link.wake(ACTIONS_STREAM);
  }
}

async function post(
  { client }: ActionParts,
  { action, request: { path, argument, asked }, asking }: Sending,
): Promise<number | undefined> {
  const answer = await client.call(path, argument, { ...asking, asked });
  return isNumbered(action) ? readOperationId(answer) : undefined;
}

/** Installations have no number at the site, and custom properties are no operation. */
export function isNumbered({ plan }: Pick<StoredAction, "plan">): boolean {
  return plan.kind === "notify" || plan.kind === "script" || plan.kind === "query";
}

/** SHA-256, hex, over the very request. */
function digestOf({ path, argument }: ActionRequest): string {
  return createHash("sha256")
    .update(`${path}\n${JSON.stringify(argument)}`)
    .digest("hex");
}

async function afterFailure(
  parts: ActionParts,
  { action, resourceIds, asking, isPatient = false }: Sending,
  n: number,
  error: unknown,
): Promise<Sent> {
  const { store, clock } = parts.kernel;
  if (isPatient && isNotYet(error)) {
    const settled = {
      id: action.id,
      at: clock.now(),
      n,
      state: "refused",
      isUnsent: true,
    } as const;
    await store.run("settleRequest", { ...settled, how: "answered" });
    throw error;
  }
  const isDecided = error instanceof ConnectorError && DECIDED.has(error.code);
  const isUnclear = error instanceof ProtocolError || UNCERTAIN.has(codeOf(error));
  if (!isDecided && !isUnclear) return await refuse(parts, action.id, { n, resourceIds }, error);
  if (!isNumbered(action)) {
    if (isUnclear) return { kind: "uncertain" };
    return await refuse(parts, action.id, { n, resourceIds }, error);
  }
  const stored = await store.run("findAction", { id: action.id });
  const request = stored?.requests.find((each) => each.n === n);
  if (request === undefined) throw error;
  const found = await lookUpOperation(
    parts,
    { plan: action.plan, request, resourceIds },
    asking,
  ).catch(() => undefined);
  if (found?.kind === "found") {
    const { operationId } = found;
    const settled = { id: action.id, at: clock.now(), n, state: "taken", operationId } as const;
    await store.run("settleRequest", { ...settled, how: "looked-up" });
    return { kind: "taken", operationId };
  }
  if (isDecided && found?.kind === "absent") {
    return await refuse(parts, action.id, { n, resourceIds }, error);
  }
  return { kind: "uncertain" };
}

/** Nothing was sent, or the site was too busy to take it. */
export function isNotYet(error: unknown): boolean {
  return error instanceof ConnectorError && error.isRetryable && !UNCERTAIN.has(error.code);
}

/** The site has not begun, and will not. */
async function refuse(
  { kernel: { store, clock } }: ActionParts,
  id: string,
  { n, resourceIds }: { readonly n: number; readonly resourceIds: readonly number[] },
  error: unknown,
): Promise<never> {
  const at = clock.now();
  await store.run("settleRequest", { id, at, n, state: "refused", how: "answered" });
  const reason = error instanceof ConnectorError ? error.message : "the request could not be sent";
  const devices = resourceIds.map((resourceId) => ({
    resourceId,
    state: "failed" as const,
    reason,
  }));
  await store.run("noteDevices", { id, at, devices });
  throw error;
}
