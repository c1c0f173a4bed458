import type { ActionTarget } from "@isthmus/shared/link/site-messages";
import {
  judgeDevices,
  judgeTarget,
  type KnownMembers,
  mostDevices,
} from "../../core/actions/action-allowance.ts";
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
  const { never } = allowance.targets;
  const members =
    target.kind === "devices"
      ? await knownMembers(parts, resourceIds, asking)
      : {
          allowed: new Set(resourceIds),
          never: await site.membersAmong(resourceIds, never, asking),
        };
  judgeDevices(resourceIds, members, allowance, isRestart);
  return resourceIds;
}

/** Which of these devices the site has in collections that the guardrails name; devices that are listed themselves need be in none. */
export async function knownMembers(
  { allowance: { targets }, site }: ActionParts,
  resourceIds: readonly number[],
  asking: Asking,
): Promise<KnownMembers> {
  const others = resourceIds.filter((id) => !targets.devices.includes(id));
  return {
    allowed: await site.membersAmong(others, targets.collections, asking),
    never: await site.membersAmong(resourceIds, targets.never, asking),
  };
}
