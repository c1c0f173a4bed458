import { ACTIONS_STREAM } from "@isthmus/shared/link/site-messages";
import type { StoredAction, StoredRequest } from "../../core/actions/action-state.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";
import { lookUpOperation } from "./operation-lookup.ts";

/**
 * Finds out at the site what became of requests whose answer did not come: an operation that fits is taken for ours. One that
 * is not there once the site has had time to settle was never begun; what repeats without harm may be asked again, a script's
 * devices end as `unknown`. True where nothing is open any more.
 */
export async function settleRequests(
  parts: ActionParts,
  action: StoredAction,
  asking: Asking,
): Promise<boolean> {
  const lost = action.requests.filter(({ state }) => state === "intended");
  let isSettled = true;
  for (const request of lost) {
    isSettled = (await settleRequest(parts, action, request, asking)) && isSettled;
  }
  if (lost.length > 0) parts.kernel.link.wake(ACTIONS_STREAM);
  return isSettled;
}

async function settleRequest(
  parts: ActionParts,
  action: StoredAction,
  request: StoredRequest,
  asking: Asking,
): Promise<boolean> {
  const { store, clock, log } = parts.kernel;
  const { id, plan } = action;
  const devices = action.open.filter((device) => device.request === request.n);
  const resourceIds = devices.map(({ resourceId }) => resourceId);
  const at = clock.now();
  if (plan.kind === "custom-properties") {
    // Whoever goes on with it compares what the device has with what it is to have.
    await store.run("settleRequest", { id, at, n: request.n, state: "absent", how: "looked-up" });
    return true;
  }
  // The devices' own states tell of an installation; it has no number to look for.
  if (plan.kind === "application") return true;
  const found = await lookUpOperation(parts, { plan, request, resourceIds }, asking);
  const settle = { id, at, n: request.n, how: "looked-up" } as const;
  log.info({ id, request: request.n, found: found.kind }, "action.looked-up");
  if (found.kind === "found") {
    const { operationId } = found;
    await store.run("settleRequest", { ...settle, state: "taken", operationId });
    return true;
  }
  const hasSettled = at - request.intendedAt >= parts.settleMs;
  if (found.kind === "absent" && !hasSettled) return false;
  if (found.kind === "absent" && plan.kind !== "script") {
    await store.run("settleRequest", { ...settle, state: "absent" });
    return true;
  }
  await store.run("settleRequest", { ...settle, state: "lost" });
  const reason =
    found.kind === "ambiguous"
      ? "the site's answer did not come, and several of its operations could be this one"
      : "the site's answer did not come and no operation of it is there; a script is never asked for twice";
  const news = resourceIds.map((resourceId) => ({ resourceId, state: "unknown" as const, reason }));
  await store.run("noteDevices", { id, at, devices: news });
  return true;
}
