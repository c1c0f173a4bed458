import { parseQuery } from "@isthmus/shared/cmpivot/parser";
import { readsOf } from "@isthmus/shared/cmpivot/reads";
import { RefusalError } from "@isthmus/shared/errors";
import {
  judgeDevices,
  judgeNotification,
  judgeQueries,
} from "../../core/actions/action-allowance.ts";
import type { DeviceNews, StoredAction } from "../../core/actions/action-state.ts";
import { judgeQuery } from "../../core/query-allowance.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";
import { knownMembers } from "./targets.ts";

/**
 * Which of these devices may still be asked. An action may wait for days, and meanwhile somebody on the host has tightened the guardrails, or a
 * device has become a member of a collection that is never touched: what was judged when it was opened says nothing of now. The others
 * end as `failed`, with the rule. Throws what the client throws.
 */
export async function judgeAgain(
  parts: ActionParts,
  action: StoredAction,
  resourceIds: readonly number[],
  asking: Asking,
): Promise<readonly number[]> {
  const refusals = new Map<number, RefusalError>();
  const planned = refusalOf(() => judgePlan(parts, action));
  if (planned !== undefined) {
    for (const id of resourceIds) refusals.set(id, planned);
  } else {
    const members = await knownMembers(parts, resourceIds, asking);
    for (const id of resourceIds) {
      const refused = refusalOf(() => judgeDevices([id], members, parts.allowance));
      if (refused !== undefined) refusals.set(id, refused);
    }
  }
  await noteRefused(parts, action, refusals);
  return resourceIds.filter((id) => !refusals.has(id));
}

/** Only what is sent again by itself: a script and an installation are sent by their command alone, which judges them. */
function judgePlan({ allowance, queries }: ActionParts, { plan, source }: StoredAction): void {
  if (source !== allowance.targets.source) {
    throw new RefusalError("command-changed", "payload.source", `the action is one of ${source}`);
  }
  if (plan.kind === "query") {
    judgeQueries(allowance);
    judgeQuery(readsOf(parseQuery(plan.query)), queries);
  }
  // That one also stands for applications that are evaluated anew, which have a list of their own.
  const isReevaluation =
    plan.kind === "notify" &&
    plan.notification === "appEvaluation" &&
    allowance.applications.some(({ actions }) => actions.includes("reevaluate"));
  if (plan.kind === "notify" && !isReevaluation) judgeNotification(plan.notification, allowance);
}

async function noteRefused(
  { kernel: { store, clock, log } }: ActionParts,
  { id }: StoredAction,
  refusals: ReadonlyMap<number, RefusalError>,
): Promise<void> {
  if (refusals.size === 0) return;
  const devices = [...refusals].map(([resourceId, { rule, message }]): DeviceNews => {
    const reason = `${rule}: ${message}`.slice(0, 1_024);
    return { resourceId, state: "failed", reason };
  });
  log.info({ id, devices: devices.length }, "action.refused-later");
  await store.run("noteDevices", { id, at: clock.now(), devices });
}

function refusalOf(judge: () => void): RefusalError | undefined {
  try {
    judge();
    return undefined;
  } catch (error) {
    if (error instanceof RefusalError) return error;
    throw error;
  }
}
