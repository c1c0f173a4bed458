import type { StoredAction } from "../../core/actions/action-state.ts";
import {
  type ActionRequest,
  notifyRequest,
  queryRequest,
} from "../../protocol/admin-service/action-requests.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";
import { judgeAgain } from "./judge-again.ts";
import { isNotYet, sendOnce } from "./request-sender.ts";

/** Own limits: requests of an action in one look, and how often what got lost on the way is sent. */
const REQUESTS_AT_ONCE = 50;
const MAX_SENDINGS = 3;

/**
 * Sends what waits: the devices of a query one by one, and what was certainly never begun once more. Only what repeats without harm is
 * sent from here; a script and an installation are sent by their command alone. Each device is judged once more before it is asked.
 */
export async function sendQueued(
  parts: ActionParts,
  action: StoredAction,
  asking: Asking,
): Promise<void> {
  const { plan, expiresAt } = action;
  const waiting = action.open.filter(({ request }) => request === 0);
  if (waiting.length === 0 || parts.kernel.clock.now() > expiresAt) return;
  if (plan.kind === "query") return await sendQueries(parts, action, plan.query, asking);
  if (plan.kind !== "notify" || action.requests.length === 0) return;
  const lost = action.requests.filter(({ state }) => state === "absent");
  const resourceIds = waiting.map(({ resourceId }) => resourceId);
  if (lost.length >= MAX_SENDINGS) {
    const { store, clock } = parts.kernel;
    const reason = `the site did not take it in ${lost.length} attempts`;
    const devices = resourceIds.map((resourceId) => ({
      resourceId,
      state: "failed" as const,
      reason,
    }));
    await store.run("noteDevices", { id: action.id, at: clock.now(), devices });
    return;
  }
  const allowed = await judgeAgain(parts, action, resourceIds, asking);
  if (allowed.length === 0) return;
  const request = notifyRequest(plan.type, allowed);
  await send(parts, action, { resourceIds: allowed, request, asking });
}

async function sendQueries(
  parts: ActionParts,
  action: StoredAction,
  query: string,
  asking: Asking,
): Promise<void> {
  const waiting = action.open.filter(({ request }) => request === 0);
  const again = waiting.filter(({ attempts }) => attempts > 0);
  // A device that did not answer the last time is asked again once it is there.
  const devices = await parts.site.devices(
    again.map(({ resourceId }) => resourceId),
    asking,
  );
  const due = waiting.filter(
    ({ attempts, resourceId }) => attempts === 0 || devices.get(resourceId)?.isOnline === true,
  );
  const next = due.slice(0, REQUESTS_AT_ONCE).map(({ resourceId }) => resourceId);
  for (const resourceId of await judgeAgain(parts, action, next, asking)) {
    const request = queryRequest(query, resourceId);
    await send(parts, action, { resourceIds: [resourceId], request, asking });
  }
}

/** What the site refuses is told of the devices; what keeps us from the site is for the next look. */
async function send(
  parts: ActionParts,
  { id, plan }: StoredAction,
  sending: {
    readonly resourceIds: readonly number[];
    readonly request: ActionRequest;
    readonly asking: Asking;
  },
): Promise<void> {
  try {
    await sendOnce(parts, { action: { id, plan }, ...sending, isPatient: true });
  } catch (error) {
    if (isNotYet(error)) throw error;
    parts.kernel.log.warn({ id, err: error }, "action.not-sent");
  }
}
