import { ProtocolError } from "../errors.ts";
import type { Transaction } from "../store/transaction.ts";
import { commandLane, commandLaneOperations } from "./command-lane.ts";
import { forgetInFlight, inboxOperations, pruneInbox } from "./inbox-operations.ts";
import { adoptCursors, lastSeqs, pruneStreams, streamOperations } from "./stream-operations.ts";

export { laneMigrations } from "./lane-migrations.ts";
export { appendToStream } from "./stream-operations.ts";

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

export interface Reconciled {
  /** The last entry of each stream that the control plane has. */
  readonly cursors: Readonly<Record<string, number>>;
  readonly isNewEpoch: boolean;
  /** Commands that ended as `unknown` because of the new epoch. */
  readonly forgottenCommands: number;
}

/**
 * Takes over what `welcome` says. An epoch above ours means that our state was behind: commands in flight become unknown,
 * streams go on after what the control plane has. Throws ProtocolError `welcome-contradicts`.
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
  const { epoch } = commandLane(transaction);
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
