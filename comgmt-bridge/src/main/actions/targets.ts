import type { ActionTarget } from "@isthmus/shared/link/site-messages";
import { judgeDevices, judgeTarget, mostDevices } from "../../core/actions/action-allowance.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";

/**
 * The very devices that an action is for, sorted: a collection is resolved here, by what the site says now, and the result is
 * judged again. Throws RefusalError, and what the client throws.
 */
export async function resolveTarget(
  parts: ActionParts,
  target: ActionTarget,
  { isRestart, asking }: { readonly isRestart: boolean; readonly asking: Asking },
): Promise<readonly number[]> {
  const { allowance, site } = parts;
  judgeTarget(target, allowance, isRestart);
  const resourceIds =
    target.kind === "devices"
      ? [...new Set(target.resourceIds)].sort((a, b) => a - b)
      : await site.members(target.collectionId, mostDevices(allowance, isRestart), asking);
  const { collections, devices, never } = allowance.targets;
  const others = resourceIds.filter((id) => !devices.includes(id));
  const allowed =
    target.kind === "collection"
      ? new Set(resourceIds)
      : await site.membersAmong(others, collections, asking);
  const members = { allowed, never: await site.membersAmong(resourceIds, never, asking) };
  judgeDevices(resourceIds, members, allowance, isRestart);
  return resourceIds;
}
