import type { ActionPlan, StoredRequest } from "../../core/actions/action-state.ts";
import { CMPIVOT_TYPE, SCRIPT_TYPE } from "../../protocol/admin-service/action-requests.ts";
import type { FoundOperation } from "../../site/action-site.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";

/** The site's clock and ours may be so far apart; farther, and health says so. */
const CLOCK_MARGIN_MS = 300_000;

export type LookedUp =
  | { readonly kind: "found"; readonly operationId: number }
  | { readonly kind: "absent" }
  /** Several could be it, or the site does not tell enough. */
  | { readonly kind: "ambiguous" };

interface Candidate {
  readonly id: number;
  /** Whether the site told its devices. */
  readonly isSure: boolean;
}

interface Lost {
  readonly plan: ActionPlan;
  readonly request: StoredRequest;
  readonly resourceIds: readonly number[];
}

/**
 * Looks for the operation of a request whose answer did not come: created since the intent, by us, of this type, for these very
 * devices and (of a script) with this GUID and version. Operations that are known to be another request's are passed over.
 */
export async function lookUpOperation(
  parts: ActionParts,
  { plan, request, resourceIds }: Lost,
  asking: Asking,
): Promise<LookedUp> {
  const type = operationType(plan);
  if (type === undefined) return { kind: "ambiguous" };
  const since = request.intendedAt - CLOCK_MARGIN_MS;
  const all = await parts.site.operationsSince(type, since, asking);
  const ours: Candidate[] = [];
  for (const { id } of await unclaimed(parts, all, asking)) {
    const { targets, requestedTime } = await parts.site.operation(id, asking);
    // As it is told by key, like the time that is kept: lists may write it in another way.
    if ((await knownAmong(parts, [{ id, requestedTime }])).has(id)) continue;
    if (!isFor(targets, resourceIds) || !(await runsScriptOf(parts, plan, id, asking))) continue;
    ours.push({ id, isSure: targets !== undefined });
  }
  const [first] = ours;
  if (first === undefined) return { kind: "absent" };
  const isSure =
    ours.length === 1 && first.isSure && !(await isAnotherLost(parts, plan, resourceIds));
  return isSure ? { kind: "found", operationId: first.id } : { kind: "ambiguous" };
}

/** The site does not tell with which values a script runs, so another lost run of it for these devices could be this one. */
async function isAnotherLost(
  { kernel: { store }, siteCode }: ActionParts,
  plan: ActionPlan,
  resourceIds: readonly number[],
): Promise<boolean> {
  if (plan.kind !== "script") return false;
  const [resourceId = 0] = resourceIds;
  return (await store.run("countIntended", { source: siteCode, plan, resourceId })) > 1;
}

/** What the site calls the kind of an operation; undefined of what has no number there. */
export function operationType(plan: ActionPlan): number | undefined {
  switch (plan.kind) {
    case "notify":
      return plan.type;
    case "script":
      return SCRIPT_TYPE;
    case "query":
      return CMPIVOT_TYPE;
    case "application":
    case "custom-properties":
      return undefined;
  }
}

async function knownAmong(
  { kernel: { store }, siteCode: source }: ActionParts,
  operations: readonly { readonly id: number; readonly requestedTime: string | undefined }[],
): Promise<ReadonlySet<number>> {
  return new Set(await store.run("knownOperations", { source, operations }));
}

async function unclaimed(
  parts: ActionParts,
  all: readonly FoundOperation[],
  asking: Asking,
): Promise<readonly FoundOperation[]> {
  const { site, siteCode } = parts;
  const { store } = parts.kernel;
  const known = await knownAmong(parts, all);
  const others = all.filter(({ id }) => !known.has(id));
  if (others.length === 0) return [];
  // Who we are at the site says the last operation that it numbered for us.
  const last = await store.run("lastOperation", { source: siteCode });
  if (last === undefined) return others;
  const us = (await site.operationStatuses([last], asking)).get(last)?.CreatedBy?.toLowerCase();
  if (us === undefined) return others;
  return others.filter(
    ({ createdBy }) => createdBy === undefined || createdBy.toLowerCase() === us,
  );
}

/** One whose devices the site does not tell may be it. */
function isFor(targets: readonly number[] | undefined, wanted: readonly number[]): boolean {
  if (targets === undefined) return true;
  const sorted = wanted.toSorted((a, b) => a - b);
  return sorted.length === targets.length && sorted.every((id, at) => id === targets[at]);
}

/** Whether an operation runs the plan's script in its version, as far as the site tells; true of what is no script. */
export async function runsScriptOf(
  { site }: ActionParts,
  plan: ActionPlan,
  operationId: number,
  asking: Asking,
): Promise<boolean> {
  if (plan.kind !== "script") return true;
  const script = await site.scriptOf(operationId, asking);
  if (script === undefined) return true;
  return script.guid === plan.scriptGuid && script.version === plan.version;
}
