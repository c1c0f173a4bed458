import type { CommandKind, CommandState } from "@isthmus/shared/link/messages";
import type { DeviceActionState } from "./device-action.ts";

/**
 * An action at a site, from being asked for to its last device:
 *
 *     queued ─▶ sent ─▶ waitingForApproval ─▶ running ─▶ completed      every device has an end, each its own
 *        └────────┴────────────┴─────────────────┴─────▶ refused | failed | expired | cancelled | unknown
 *
 * `queued` waits for the bridge, `sent` is at the bridge, `waitingForApproval` waits there for a second person, `running` was taken by
 * the site. Ends stay, but for `unknown`: what is heard
 * after all gives it another.
 */
export const SITE_ACTION_STATES = [
  "queued",
  "sent",
  "waitingForApproval",
  "running",
  "completed",
  "refused",
  "failed",
  "expired",
  "cancelled",
  "unknown",
] as const;
export type SiteActionState = (typeof SITE_ACTION_STATES)[number];

export type SiteCommandKind = Extract<CommandKind, `site.${string}`>;

/** Their command's result is their end: no device tells of them afterwards. */
const ENDED_BY_RESULT: readonly SiteCommandKind[] = ["site.recovery-key", "site.refresh"];

export function isActionEnded(state: SiteActionState): boolean {
  return !["queued", "sent", "waitingForApproval", "running"].includes(state);
}

/** What is known of an action. */
export interface SiteActionFacts {
  readonly kind: SiteCommandKind;
  readonly state: SiteActionState;
  readonly command: CommandState;
  /** Whether the bridge says that it waits for a person. */
  readonly isWaiting: boolean;
  /** To how many devices the bridge says that it went; undefined until it does. */
  readonly expectedDevices: number | undefined;
  /** Whether it was asked for by device: all of them are known then from the beginning. */
  readonly isOfNamedDevices: boolean;
  /** Devices that are known, those of them without an end, and those whose end nobody knows. */
  readonly devices: number;
  readonly openDevices: number;
  readonly unknownDevices: number;
  /** Devices of which more is known than that they were asked for. */
  readonly devicesHeardOf: number;
}

export interface SiteActionVerdict {
  readonly state: SiteActionState;
  /** What becomes of devices that have no end. */
  readonly openDevices?: DeviceActionState;
}

/** How an action stands by what is known of it, in whatever order that came. */
export function judgeSiteAction(facts: SiteActionFacts): SiteActionVerdict {
  const { state } = facts;
  if (isActionEnded(state) && state !== "unknown") return { state };
  const verdict = verdictOf(facts);
  return state === "unknown" && !isActionEnded(verdict.state) ? { state } : verdict;
}

function verdictOf(facts: SiteActionFacts): SiteActionVerdict {
  switch (facts.command) {
    case "queued":
    case "accepted":
    case "sent":
    case "running":
      return { state: underWay(facts) };
    case "succeeded":
      return taken(facts);
    case "refused":
    case "failed":
      return { state: facts.command, openDevices: "failed" };
    case "unknown":
      if (isEachEndKnown(facts)) return { state: "completed" };
      return { state: facts.command, openDevices: facts.command };
    case "expired":
    case "cancelled":
      return { state: facts.command, openDevices: facts.command };
  }
}

/** News of devices may overtake the command's own result: they come in another stream. */
function underWay({ command, isWaiting, devicesHeardOf }: SiteActionFacts): SiteActionState {
  if (devicesHeardOf > 0) return "running";
  if (command === "accepted" && isWaiting) return "waitingForApproval";
  return command === "queued" ? "queued" : "sent";
}

function taken({ kind, expectedDevices, devices, openDevices }: SiteActionFacts) {
  if (ENDED_BY_RESULT.includes(kind)) {
    return { state: "completed", openDevices: "succeeded" } as const;
  }
  const isEach = openDevices === 0 && devices >= (expectedDevices ?? 1);
  return { state: isEach ? "completed" : "running" } as const;
}

/** Devices tell their ends also where the answer to what was asked of the site is lost for good. */
function isEachEndKnown(facts: SiteActionFacts): boolean {
  if (ENDED_BY_RESULT.includes(facts.kind)) return false;
  const { expectedDevices, isOfNamedDevices, devices, openDevices, unknownDevices } = facts;
  const all = expectedDevices ?? (isOfNamedDevices ? devices : undefined);
  return all !== undefined && devices > 0 && devices >= all && openDevices + unknownDevices === 0;
}
