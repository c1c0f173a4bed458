import { nearestName } from "../cmpivot/nearest-name.ts";
import type { ConnectorLinkState } from "../link/connector-link.ts";
import { MAX_CLOCK_OFFSET_MS } from "../link/messages.ts";
import type { Store } from "../store/store.ts";
import type { AuditKeeper } from "./audit-keeper.ts";
import type { ConnectorOperations } from "./connector-operations.ts";
import type { DesiredConfiguration } from "./desired-configuration.ts";
import { changedFiles, type FileAsRead } from "./file-as-read.ts";
import type { CommonGuardrails } from "./guardrails-file.ts";
import type { HealthBoard } from "./health.ts";
import { type CheckResult, WINDOW_KINDS } from "./service-definition.ts";

/** Entries of one stream that wait for the control plane before health warns. */
const BACKLOG_WARNING = 100_000;

/**
 * What the kernel checks about every running connector. The reason of a healthy check stays the same from one minute to
 * the next, so that an unchanged snapshot is told to the control plane by its digest alone.
 */
export function registerKernelChecks<Desired>(
  board: HealthBoard,
  of: {
    readonly store: Store<ConnectorOperations>;
    readonly desired: DesiredConfiguration<Desired>;
    readonly audit: AuditKeeper;
    readonly guardrailsFault: { readonly reason: string; readonly remedy: string } | undefined;
    /** What was read at the start. */
    readonly files: readonly FileAsRead[];
    /** Kinds that the guardrails name although the service has no such thing. */
    readonly unknownKinds: readonly string[];
    /** Undefined in standalone mode. */
    readonly linkState: (() => ConnectorLinkState) | undefined;
  },
): void {
  const { store, desired, audit, linkState } = of;
  board.register({ name: "store", run: () => checkStore(store) });
  board.register({ name: "desired-configuration", run: () => desired.check() });
  board.register({
    name: "guardrails",
    run: () => guardrailsResult(of, "the guardrails cannot be changed by this process"),
  });
  board.register({ name: "local-files", run: () => checkFiles(of.files, RUNS) });
  board.register({
    name: "audit",
    run: () => audit.check(linkState?.().connected ?? false),
  });
  if (linkState === undefined) return;
  board.register({ name: "link", run: () => checkLink(linkState()) });
  board.register({ name: "clock", run: () => checkClock(linkState().clockOffsetMs) });
  board.register({ name: "link-backlog", run: () => checkBacklog(store) });
}

async function checkStore(store: Store<ConnectorOperations>): Promise<CheckResult> {
  await store.run("auditHead");
  return { status: "healthy", reason: "the store answers" };
}

/** A slip of the pen first: whoever mistyped a limit believes in one that is not there. */
export function guardrailsResult(
  of: {
    readonly guardrailsFault: { readonly reason: string; readonly remedy: string } | undefined;
    readonly unknownKinds: readonly string[];
  },
  healthy: string,
): CheckResult {
  const named = of.unknownKinds.join(", ");
  const slip = {
    reason: `the guardrails name kinds of commands or limits that there are not: ${named}`,
    remedy: "correct the guardrails file and restart",
  };
  const faults = [
    ...(named === "" ? [] : [slip]),
    ...(of.guardrailsFault ? [of.guardrailsFault] : []),
  ];
  if (faults.length === 0) return { status: "healthy", reason: healthy };
  const joined = (each: "reason" | "remedy") => faults.map((fault) => fault[each]).join("; ");
  return { status: "warning", reason: joined("reason"), remedy: joined("remedy") };
}

const RUNS = "this process";

/** Files that are read once, at the start: what is on disk by now may be something else. `who` runs with them. */
export function checkFiles(files: readonly FileAsRead[], who: string): CheckResult {
  const changed = changedFiles(files);
  if (changed.length === 0) {
    return { status: "healthy", reason: `${who} runs with the files that are on disk` };
  }
  return {
    status: "warning",
    reason: `${changed.join(" and ")} changed since ${who} read it: what it had then is in force`,
    remedy:
      "see that you know of the change, run `check`, and restart the service; to keep what is in force, put the file back",
  };
}

/** A cloud that is away is no reason to stop serving: a warning, so that the service stays ready. */
function checkLink({ connected, lastError, isRefused }: ConnectorLinkState): CheckResult {
  if (connected) return { status: "healthy", reason: "connected to the control plane" };
  const why = lastError === undefined ? "not connected yet" : lastError.message;
  if (isRefused) {
    return {
      status: "warning",
      reason: `${why}; the next attempts are 15 to 60 minutes apart`,
      remedy:
        "see this connector in the control plane, enrol it again if it was removed; a restart tries at once",
    };
  }
  return {
    status: "warning",
    reason: why,
    remedy: "run `check`, which tests the way to the control plane step by step",
  };
}

function checkClock(offsetMs: number | undefined): CheckResult {
  if (offsetMs === undefined) {
    return { status: "unknown", reason: "the clocks are compared at the first connection" };
  }
  if (Math.abs(offsetMs) <= MAX_CLOCK_OFFSET_MS) {
    return { status: "healthy", reason: "the two clocks are less than 5 minutes apart" };
  }
  return {
    status: "unhealthy",
    reason: `the control plane's clock is ${Math.round(offsetMs / 1_000)} s off ours, more than 5 minutes`,
    remedy: "synchronise this host's clock (NTP)",
  };
}

async function checkBacklog(store: Store<ConnectorOperations>): Promise<CheckResult> {
  const streams = await store.run("streamFigures");
  const longest = Math.max(0, ...streams.map(({ unackedEntries }) => unackedEntries));
  const rejected = streams.reduce((sum, { rejectedEntries }) => sum + rejectedEntries, 0);
  if (rejected > 0) {
    return {
      status: "warning",
      reason: `the control plane could not take ${rejected} entries`,
      remedy: "see its dead letters; the two versions may not fit",
    };
  }
  if (longest <= BACKLOG_WARNING) {
    return { status: "healthy", reason: "the control plane keeps up with the streams" };
  }
  return {
    status: "warning",
    reason: `${longest} entries of a stream wait for the control plane`,
    remedy: "restore the connection before the journal is full",
  };
}

/** Kinds that the guardrails speak of and that are neither a command of `commands` nor a window, each with what was probably meant. */
export function unknownKinds(
  { allow, limits, approval }: CommonGuardrails["commands"],
  commands: Readonly<Record<string, unknown>>,
): string[] {
  const named = new Set([...allow, ...Object.keys(limits), ...Object.keys(approval)]);
  const known: readonly string[] = [...Object.keys(commands), ...WINDOW_KINDS];
  return [...named]
    .filter((kind) => !known.includes(kind))
    .map((kind) => {
      const nearest = nearestName(kind, known);
      return nearest === undefined ? kind : `${kind} (did you mean ${nearest}?)`;
    });
}
