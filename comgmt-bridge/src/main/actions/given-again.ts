import { codeOf } from "@isthmus/shared/errors";
import type { StoredAction, StoredRequest } from "../../core/actions/action-state.ts";
import type { SiteOperation } from "../../site/action-site.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";
import { operationType, runsScriptOf } from "./operation-lookup.ts";

export type NumberedRequest = StoredRequest & { readonly operationId: number };

/**
 * A site that was put back from a backup gives numbers of operations again. Says why the operation of this number is not the request's
 * own any more; undefined where nothing speaks against it. The time at which the site says that it was asked for is stored with the first
 * look and never changes, so no clocks are compared. To be asked after the news that it speaks for was read. Throws what the client
 * throws.
 */
export async function numberGivenAgain(
  parts: ActionParts,
  { id, plan }: StoredAction,
  request: NumberedRequest,
  asking: Asking,
): Promise<string | undefined> {
  const { kernel, siteCode: source } = parts;
  const { n, operationId } = request;
  const claim = { id, n, source, operationId };
  const { resourceIds, isGivenAgain, requestedTime } = await kernel.store.run("claimOf", claim);
  if (isGivenAgain) return explained(operationId, "for another command of this bridge");
  const now = await operationOf(parts, operationId, asking);
  if (now === undefined) return undefined;
  if (now.type !== undefined && now.type !== operationType(plan)) {
    return explained(operationId, "for something of another kind");
  }
  if (now.targets !== undefined && !areAmong(now.targets, resourceIds)) {
    return explained(operationId, "for other devices");
  }
  if (!(await runsScriptOf(parts, plan, operationId, asking))) {
    return explained(operationId, "for another script, or another version of it");
  }
  if (now.requestedTime === undefined) return undefined;
  if (requestedTime === undefined) {
    await kernel.store.run("noteRequestedTime", { id, n, requestedTime: now.requestedTime });
    return undefined;
  }
  if (now.requestedTime === requestedTime) return undefined;
  return explained(operationId, "for something that was asked for at another time");
}

function explained(operationId: number, what: string): string {
  return `the site has given number ${operationId} again, ${what}: it was put back from a backup, and nobody knows what became of this`;
}

/** A device that is gone may be missing from what the site tells; one that was not asked for is never there. */
function areAmong(targets: readonly number[], asked: readonly number[]): boolean {
  const ours = new Set(asked);
  return targets.every((resourceId) => ours.has(resourceId));
}

async function operationOf(
  { site }: ActionParts,
  operationId: number,
  asking: Asking,
): Promise<SiteOperation | undefined> {
  try {
    return await site.operation(operationId, asking);
  } catch (error) {
    if (codeOf(error) === "site-not-found") return undefined;
    throw error;
  }
}
