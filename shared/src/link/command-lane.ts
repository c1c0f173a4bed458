import type { Row, Transaction } from "../store/transaction.ts";

/** Where a connector stands in the sequence of its commands. */
export interface CommandLane {
  readonly epoch: number;
  /** The highest seq seen. */
  readonly highestSeq: number;
  /** No seq up to here is missing. */
  readonly contiguousSeq: number;
  /** Ids with a seq up to here may have been forgotten, so an unknown one is not new. */
  readonly floorSeq: number;
}

/** Seqs that were passed over. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

export function commandLane(transaction: Transaction): CommandLane {
  const row = transaction.get("SELECT * FROM command_lane") as Row;
  return {
    epoch: Number(row["epoch"]),
    highestSeq: Number(row["highest_seq"]),
    contiguousSeq: Number(row["contiguous_seq"]),
    floorSeq: Number(row["floor_seq"]),
  };
}

/** Stores a command by `insert` and moves the lane over it. Returns the floor that its seq is judged by. */
export function noteSeq(transaction: Transaction, seq: number, insert: () => void): number {
  const { contiguousSeq, floorSeq } = commandLane(transaction);
  insert();
  transaction.run("UPDATE command_lane SET highest_seq = max(highest_seq, ?)", seq);
  if (seq === contiguousSeq + 1) advance(transaction, seq);
  return floorSeq;
}

/** Moves the contiguous end to `reached` and on over what came before its turn. */
function advance(transaction: Transaction, reached: number): void {
  let end = reached;
  while (transaction.get("SELECT 1 FROM command_inbox WHERE seq = ?", end + 1) !== undefined) {
    end += 1;
  }
  transaction.run(
    "UPDATE command_lane SET contiguous_seq = ?, highest_seq = max(highest_seq, ?)",
    end,
    end,
  );
}

/** The first seqs that are missing; undefined where there are none. */
export function firstGap(transaction: Transaction): Gap | undefined {
  const { contiguousSeq, highestSeq } = commandLane(transaction);
  if (contiguousSeq >= highestSeq) return undefined;
  const next = transaction.get(
    "SELECT min(seq) AS seq FROM command_inbox WHERE seq > ?",
    contiguousSeq,
  );
  const to = next?.["seq"] === null ? highestSeq : Number(next?.["seq"]) - 1;
  return { from: contiguousSeq + 1, to };
}

/** Closes missing seqs that no command has, as the control plane claims. Returns whether any were missing. */
function voidCommands(
  transaction: Transaction,
  { from, to }: Gap,
): { readonly wasMissing: boolean } {
  const { contiguousSeq, highestSeq } = commandLane(transaction);
  const isNext = from <= contiguousSeq + 1 && to > contiguousSeq && to <= highestSeq;
  if (isNext) advance(transaction, to);
  return { wasMissing: isNext };
}

/** After a restore everything up to the control plane's `commandSeq` counts as seen and forgotten. */
export function adoptCommandSeq(transaction: Transaction, commandSeq: number): void {
  transaction.run("UPDATE command_lane SET floor_seq = max(floor_seq, ?)", commandSeq);
  const { contiguousSeq } = commandLane(transaction);
  advance(transaction, Math.max(contiguousSeq, commandSeq));
}

/** The sequence of commands as a connector sees it. */
export const commandLaneOperations = { firstGap, voidCommands };
