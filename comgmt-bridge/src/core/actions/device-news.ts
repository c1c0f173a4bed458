import { errorSentence } from "@isthmus/shared/configmgr/error-words";
import type { ActionPlan, DeviceNews, DeviceState } from "./action-state.ts";

/** What the site's own words about an operation mean for its devices. */

/** SMS_ClientOperationStatus, which counts devices and names none. */
export interface OperationCounts {
  readonly state: number | undefined;
  readonly isExpired: boolean;
  readonly total: number | undefined;
  readonly completed: number;
  readonly failed: number;
}

const STATE_NOT_APPLICABLE = 1;

/** News of the devices that a notification was for and that are not final yet. */
export function notificationNews(
  resourceIds: readonly number[],
  counts: OperationCounts,
): readonly DeviceNews[] {
  const { completed, failed, isExpired } = counts;
  const total = Math.max(counts.total ?? 0, resourceIds.length);
  const answered = completed + failed;
  const all = (state: DeviceState, reason?: string) =>
    resourceIds.map((resourceId) => ({
      ...{ resourceId, state },
      ...(reason !== undefined && { reason }),
    }));
  if (completed >= total) return all("succeeded");
  if (failed >= total) return all("failed", "the device did not carry it out");
  if (counts.state === STATE_NOT_APPLICABLE && answered === 0) return all("notApplicable");
  if (answered < total && !isExpired) return answered > 0 ? all("running") : [];
  if (answered === 0) return all("expired", "no device took it before the site gave it up");
  const reason = `the site counts ${completed} that did it and ${failed} that failed, of ${total}, and does not say which`;
  return all("unknown", reason);
}

/** How many devices came to which end, where they came to different ones; those that did not answer in time have expired. */
export function mixedCounts(
  counts: OperationCounts,
): Readonly<Partial<Record<DeviceState, number>>> | undefined {
  const { completed, failed, isExpired } = counts;
  const total = Math.max(counts.total ?? 0, completed + failed);
  const expired = total - completed - failed;
  const isOver = isExpired || expired === 0;
  const ends = [completed, failed, expired].filter((count) => count > 0);
  if (!isOver || ends.length < 2) return undefined;
  return { succeeded: completed, failed, ...(expired > 0 && { expired }) };
}

const SCRIPT_SUCCEEDED = 1;
const SCRIPT_FAILED = 2;

export interface ScriptResult {
  readonly resourceId: number;
  readonly executionState: number | undefined;
  readonly exitCode: number | undefined;
  readonly output: string;
  readonly isCut: boolean;
}

export function scriptNews(of: ScriptResult): DeviceNews {
  const { resourceId, executionState, exitCode, output, isCut } = of;
  const isDone = executionState === SCRIPT_SUCCEEDED || executionState === SCRIPT_FAILED;
  if (!isDone) return { resourceId, state: "running" };
  const isFailed = executionState === SCRIPT_FAILED;
  return {
    ...{ resourceId, state: isFailed ? "failed" : "succeeded", output, isTruncated: isCut },
    ...(exitCode !== undefined && { exitCode }),
    ...(isFailed && { reason: failedScript(exitCode) }),
  };
}

function failedScript(exitCode: number | undefined): string {
  if (exitCode === undefined) return "the script failed";
  const isPlain = exitCode >= 0 && exitCode < 0x1_0000;
  return isPlain ? `the script ended with ${exitCode}` : errorSentence(exitCode);
}

/** What a client sends at most for one query (documented); the rest is cut without a word. */
const CLIENT_BYTES = 131_072;

/**
 * Whether an answer may have been cut: another row as long as its longest would not have fitted. `bytes` are those of the
 * client's answer as the site keeps it, in a form of its own, hence the margin.
 */
export function isPerhapsCut(bytes: number, longestRowBytes: number): boolean {
  return bytes + longestRowBytes >= CLIENT_BYTES * 0.95;
}

type ApplicationPlan = Extract<ActionPlan, { readonly kind: "application" }>;

/** States of applications as tenant attach names them. */
const UNDER_WAY = ["installing", "install requested", "required", "uninstalling", "repairing"];

/** What a device's state of an application says of the action; undefined where it says nothing yet. */
export function applicationNews(
  { action, before }: ApplicationPlan,
  of: {
    readonly resourceId: number;
    readonly status: string | undefined;
    readonly errorCode: number | undefined;
    /** Whether the device was seen in another state since. */
    readonly hasMoved: boolean;
  },
): DeviceNews | undefined {
  const { resourceId, errorCode } = of;
  const status = of.status?.toLowerCase();
  if (status === undefined) return undefined;
  const told = errorCode === undefined ? {} : { errorCode };
  // What was so before the action says nothing about it, but for what is wanted and there already.
  const isOld = status === before[String(resourceId)]?.toLowerCase() && !of.hasMoved;
  if (isWanted(action, status)) {
    return isOld && action === "repair" ? undefined : { resourceId, state: "succeeded" };
  }
  if (UNDER_WAY.includes(status)) return { resourceId, state: "running" };
  if (isOld) return undefined;
  if (status === "failed") {
    const reason = errorCode === undefined ? "the application failed" : errorSentence(errorCode);
    return { resourceId, state: "failed", reason, ...told };
  }
  if (status === "requirements not met") {
    return { resourceId, state: "notApplicable", reason: "its requirements are not met", ...told };
  }
  if (status === "restart pending") {
    return { resourceId, state: "running", reason: "it is done once the device restarts" };
  }
  return undefined;
}

function isWanted(action: ApplicationPlan["action"], status: string): boolean {
  if (action === "uninstall") return status === "not installed" || status === "available";
  return status === "installed";
}
