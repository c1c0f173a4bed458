import { ProtocolError } from "../errors.ts";
import type { Transaction } from "../store/transaction.ts";
import { commandLane, commandLaneOperations } from "./command-lane.ts";
import { forgetInFlight, inboxOperations, pruneInbox } from "./inbox-operations.ts";
import { adoptCursors, lastSeqs, pruneStreams, streamOperations } from "./stream-operations.ts";

export { laneMigrations } from "./lane-migrations.ts";
export {
  appendPackedToStream,
  appendToStream,
  lineOf,
  STORED_ENTRIES,
} from "./stream-operations.ts";

/** What a connector says of its own state in `hello`. */
export interface LaneState {
  readonly epoch: number;
  readonly lastSeq: Readonly<Record<string, number>>;
  readonly commandSeq: number;
}

function laneState(transaction: Transaction): LaneState {
  const { epoch, highestSeq } = commandLane(transaction);
  return { epoch, lastSeq: lastSeqs(transaction), commandSeq: highestSeq };
}

/**
 * How far the control plane may be ahead of a restored connector. A welcome is not signed: who could say any number could use
 * up all there are, and no command would ever be run here again.
 */
const MAX_AHEAD = 2 ** 32;

export interface Reconciled {
  /** The last entry of each stream that the control plane has. */
  readonly cursors: Readonly<Record<string, number>>;
  readonly isNewEpoch: boolean;
  /** Commands that ended as `unknown` because of the new epoch. */
  readonly forgottenCommands: number;
}

/**
 * Takes over what `welcome` says. An epoch above ours means that our state was behind: commands in flight become unknown,
 * streams go on after what the control plane has. Throws ProtocolError `welcome-contradicts`, `welcome-implausible`.
 */
function reconcileLanes(
  transaction: Transaction,
  welcome: {
    readonly epoch: number;
    readonly lastAppliedSeq: Readonly<Record<string, number>>;
    readonly commandSeq: number;
    readonly now: number;
  },
): Reconciled {
  const { epoch, highestSeq } = commandLane(transaction);
  refuseFarAhead("epoch", welcome.epoch, epoch);
  refuseFarAhead("command seq", welcome.commandSeq, highestSeq);
  const known = lastSeqs(transaction);
  for (const [stream, applied] of Object.entries(welcome.lastAppliedSeq)) {
    refuseFarAhead(`stream ${stream}`, applied, known[stream] ?? 0);
  }
  if (welcome.epoch < epoch) {
    throw new ProtocolError(
      "welcome-contradicts",
      `epoch ${welcome.epoch} is below ours, ${epoch}`,
    );
  }
  const isNewEpoch = welcome.epoch > epoch;
  const { lastAppliedSeq, commandSeq, now } = welcome;
  const cursors = adoptCursors(transaction, { lastAppliedSeq, isNewEpoch, at: now });
  const forgottenCommands = isNewEpoch ? forgetInFlight(transaction, { commandSeq, now }) : 0;
  transaction.run("UPDATE command_lane SET epoch = ?", welcome.epoch);
  return { cursors, isNewEpoch, forgottenCommands };
}

function refuseFarAhead(what: string, said: number, known: number): void {
  if (said <= known + MAX_AHEAD) return;
  const message = `${what} ${said} is further ahead of ours, ${known}, than any backup explains`;
  throw new ProtocolError("welcome-implausible", message);
}

/**
 * Says that local state may have gone back or must not be relied on (a restored backup, newly pinned keys): the next
 * connection starts a new epoch, and commands in flight are unknown from here on.
 */
function raiseEpoch(transaction: Transaction, { now }: { readonly now: number }): void {
  const { epoch, highestSeq } = commandLane(transaction);
  forgetInFlight(transaction, { commandSeq: highestSeq, now });
  transaction.run("UPDATE command_lane SET epoch = ?", epoch + 1);
}

/** Removes what its retention has ended for: acknowledged entries, results past their commands' expiry. */
function pruneLanes(
  transaction: Transaction,
  of: { readonly now: number; readonly cloudNow: number; readonly retentionMs: number },
): void {
  pruneStreams(transaction, of);
  pruneInbox(transaction, of);
}

/** What the link does in a connector's store; a service spreads it into its operations. */
export const laneOperations = {
  laneState,
  reconcileLanes,
  raiseEpoch,
  pruneLanes,
  ...commandLaneOperations,
  ...streamOperations,
  ...inboxOperations,
};
