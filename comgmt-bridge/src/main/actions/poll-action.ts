import { codeOf } from "@isthmus/shared/errors";
import type { SiteCounts } from "@isthmus/shared/link/site-messages";
import type {
  ActionPlan,
  DeviceNews,
  StoredAction,
  StoredDevice,
} from "../../core/actions/action-state.ts";
import {
  applicationNews,
  isPerhapsCut,
  mixedCounts,
  notificationNews,
  scriptNews,
} from "../../core/actions/device-news.ts";
import type { OperationStatus, QueryStatus } from "../../protocol/admin-service/action-rows.ts";
import { scriptOutput } from "../../protocol/admin-service/script-content.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";
import { type NumberedRequest, numberGivenAgain } from "./given-again.ts";
import { reachCustomProperties } from "./reach-custom-properties.ts";

/** Own limits: devices and operations asked about in one look. */
const QUERIES_AT_ONCE = 200;
const APPLICATIONS_AT_ONCE = 50;
/** What a failed query shows as `ScriptExecutionState`. */
const QUERY_FAILED = 2;

/** A request that the site has, with those of its devices that are not final. */
interface Awaited {
  readonly request: NumberedRequest;
  readonly devices: readonly StoredDevice[];
}

/** Asks the site how the devices of an action fare, and stores what is new. Throws what the client throws. */
export async function pollAction(
  parts: ActionParts,
  action: StoredAction,
  asking: Asking,
): Promise<void> {
  const { plan } = action;
  switch (plan.kind) {
    case "notify":
      return await eachAwaited(parts, action, asking, pollNotification);
    case "script":
      return await eachAwaited(parts, action, asking, pollScript);
    case "query":
      return await pollQueries(parts, action, asking);
    case "application":
      return await pollApplication(parts, action, plan, asking);
    case "custom-properties":
      return await reachCustomProperties(parts, action, asking);
  }
}

function awaitedIn({ requests, open }: StoredAction): readonly Awaited[] {
  return requests.flatMap((request) => {
    const { operationId, state, n } = request;
    const devices = open.filter((device) => device.request === n);
    if (state !== "taken" || operationId === undefined || devices.length === 0) return [];
    return [{ request: { ...request, operationId }, devices }];
  });
}

async function eachAwaited(
  parts: ActionParts,
  action: StoredAction,
  asking: Asking,
  poll: typeof pollScript,
): Promise<void> {
  for (const awaited of awaitedIn(action)) {
    // What the site says of the operation is kept before any news of it, for later news to be compared with.
    const isLost =
      !awaited.request.isTimed && (await endGivenAgain(parts, action, awaited, asking));
    if (!isLost) await poll(parts, action, awaited, asking);
  }
}

/** Stores what a numbered operation says of devices, unless its number is another operation's by now. */
async function noteOf(
  parts: ActionParts,
  action: StoredAction,
  awaited: Awaited,
  told: { readonly news: readonly DeviceNews[]; readonly counts?: SiteCounts | undefined },
  asking: Asking,
): Promise<void> {
  if (told.news.length === 0 || (await endGivenAgain(parts, action, awaited, asking))) return;
  await note(parts, action, told.news, told.counts);
}

/** Nobody knows what becomes of devices whose operation's number the site has given again. True where it has. */
async function endGivenAgain(
  parts: ActionParts,
  action: StoredAction,
  { request, devices }: Awaited,
  asking: Asking,
): Promise<boolean> {
  const reason = await numberGivenAgain(parts, action, request, asking);
  if (reason === undefined) return false;
  const { operationId } = request;
  parts.kernel.log.warn({ id: action.id, operationId, reason }, "action.number-given-again");
  await note(
    parts,
    action,
    devices.map(({ resourceId }) => ({ resourceId, state: "unknown", reason })),
  );
  return true;
}

async function note(
  { kernel: { store, clock } }: ActionParts,
  { id }: StoredAction,
  devices: readonly DeviceNews[],
  counts?: SiteCounts,
): Promise<void> {
  if (devices.length === 0) return;
  await store.run("noteDevices", { id, at: clock.now(), devices, ...(counts && { counts }) });
}

async function pollNotification(
  parts: ActionParts,
  action: StoredAction,
  awaited: Awaited,
  asking: Asking,
): Promise<void> {
  const { devices } = awaited;
  const { operationId } = awaited.request;
  const status = (await parts.site.operationStatuses([operationId], asking)).get(operationId);
  if (status === undefined) return;
  const resourceIds = devices.map(({ resourceId }) => resourceId);
  const counts = {
    state: status.State ?? undefined,
    isExpired: Boolean(status.IsExpired),
    total: status.TotalClients ?? undefined,
    completed: status.CompletedClients ?? 0,
    failed: status.FailedClients ?? 0,
  };
  const news = notificationNews(resourceIds, counts);
  const mixed = mixedCounts({ ...counts, total: Math.max(counts.total ?? 0, devices.length) });
  const counted = mixed && { operationId, devices: mixed };
  await noteOf(parts, action, awaited, { news, counts: counted }, asking);
}

async function pollScript(
  parts: ActionParts,
  action: StoredAction,
  of: Awaited,
  asking: Asking,
): Promise<void> {
  const { operationId } = of.request;
  // Asked before the results: what expired before they were read has no more of them.
  const status = (await parts.site.operationStatuses([operationId], asking)).get(operationId);
  const awaited = new Set(of.devices.map(({ resourceId }) => resourceId));
  const statuses = await parts.site.scriptStatuses(operationId, asking);
  const news = statuses
    .filter(({ ResourceId }) => awaited.has(ResourceId))
    .map((told) => {
      const { text, isCut } = scriptOutput(told.ScriptOutput ?? "");
      return scriptNews({
        resourceId: told.ResourceId,
        executionState: told.ScriptExecutionState ?? undefined,
        exitCode: told.ScriptExitCode ?? undefined,
        ...{ output: text, isCut },
      });
    });
  const heard = new Set(news.map(({ resourceId }) => resourceId));
  const silent = [...awaited].filter((resourceId) => !heard.has(resourceId));
  const given = isExpired(status) ? silent.map(expired) : [];
  await noteOf(parts, action, of, { news: [...news, ...given] }, asking);
}

async function pollQueries(
  parts: ActionParts,
  action: StoredAction,
  asking: Asking,
): Promise<void> {
  const awaited = awaitedIn(action).slice(0, QUERIES_AT_ONCE);
  const ids = awaited.map(({ request }) => request.operationId);
  const operations = await parts.site.operationStatuses(ids, asking);
  const statuses = await parts.site.queryStatuses(ids, asking);
  for (const { request, devices } of awaited) {
    const [device] = devices;
    if (device === undefined) continue;
    const { operationId } = request;
    const status = statuses.get(operationId);
    // A site that was put back from a backup gives numbers again: this may be another operation, for another device.
    const isOfDevice = status?.ResourceId === device.resourceId;
    if (isOfDevice && !(await isClaimedAgain(parts, action, request)))
      await takeAnswer(parts, action, { device, operationId, status }, asking);
    else if (isExpired(operations.get(operationId))) await askAgain(parts, action, device);
  }
}

async function isClaimedAgain(
  { kernel: { store }, siteCode: source }: ActionParts,
  { id }: StoredAction,
  { n, operationId }: NumberedRequest,
): Promise<boolean> {
  return (await store.run("claimOf", { id, n, source, operationId })).isGivenAgain;
}

/** Own limit: how often a device that was away is asked the same. */
const MAX_ATTEMPTS = 6;

async function askAgain(
  parts: ActionParts,
  action: StoredAction,
  { resourceId, attempts }: StoredDevice,
): Promise<void> {
  const { store, clock } = parts.kernel;
  if (attempts >= MAX_ATTEMPTS) {
    const reason = `the device was asked ${attempts} times and did not answer`;
    return await note(parts, action, [{ resourceId, state: "expired", reason }]);
  }
  const queued = { id: action.id, at: clock.now(), resourceIds: [resourceId] };
  await store.run("requeueDevices", queued);
}

async function takeAnswer(
  parts: ActionParts,
  action: StoredAction,
  of: {
    readonly device: StoredDevice;
    readonly operationId: number;
    readonly status: QueryStatus;
  },
  asking: Asking,
): Promise<void> {
  const { resourceId } = of.device;
  const { status } = of;
  if (status.ScriptExecutionState === QUERY_FAILED) {
    const reason = status.ErrorMessage || "the query failed on the device";
    return await note(parts, action, [{ resourceId, state: "failed", reason }]);
  }
  const { store, clock } = parts.kernel;
  try {
    const rows = await parts.site.queryResult(resourceId, of.operationId, asking);
    const isTruncated = wasCut(status.ScriptOutput ?? "");
    await store.run("noteRows", { id: action.id, at: clock.now(), resourceId, rows, isTruncated });
  } catch (error) {
    // The site knows that the device answered and has yet to make rows of it.
    if (codeOf(error) !== "cmpivot-not-ready") throw error;
    await note(parts, action, [{ resourceId, state: "running" }]);
  }
}

/** By the client's own answer: what the query makes of its rows afterwards may be short. */
function wasCut(answer: string): boolean {
  const rows = answer.split("<e ");
  const longest = rows.reduce((most, row) => Math.max(most, Buffer.byteLength(row)), 0);
  return isPerhapsCut(Buffer.byteLength(answer), longest);
}

async function pollApplication(
  parts: ActionParts,
  action: StoredAction,
  plan: Extract<ActionPlan, { readonly kind: "application" }>,
  asking: Asking,
): Promise<void> {
  const asked = action.open.filter(({ request }) => request > 0).slice(0, APPLICATIONS_AT_ONCE);
  const ended: number[] = [];
  for (const { resourceId, state } of asked) {
    const all = await parts.site.applications(resourceId, asking);
    const found = all.find(({ id }) => id === plan.applicationId);
    const news = applicationNews(plan, {
      ...{ resourceId, status: found?.status, errorCode: found?.errorCode },
      hasMoved: state === "running",
    });
    if (news === undefined) continue;
    await note(parts, action, [news]);
    if (news.state !== "running") ended.push(resourceId);
  }
  if (ended.length > 0) await parts.readAgain(ended, asking.signal);
}

export function isExpired(status: OperationStatus | undefined): boolean {
  return Boolean(status?.IsExpired);
}

const expired = (resourceId: number): DeviceNews => ({
  ...{ resourceId, state: "expired" },
  reason: "the device did not take it before the site gave it up",
});
