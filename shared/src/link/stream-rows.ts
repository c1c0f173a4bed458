import { ConnectorError } from "../errors.ts";
import type { Row, Transaction } from "../store/transaction.ts";
import { MAX_STREAMS } from "./messages.ts";

/** A stream as its row has it. */
export interface StreamRow {
  readonly lastSeq: number;
  readonly ackedSeq: number;
  readonly unsequenced: number;
}

/** The row of a stream, made where there is none. Throws `streams-too-many`. */
export function streamOf(transaction: Transaction, name: string): StreamRow {
  const row = findStream(transaction, name);
  if (row !== undefined) return row;
  const { count } = transaction.get("SELECT count(*) AS count FROM stream") as { count: number };
  if (count >= MAX_STREAMS) {
    throw new ConnectorError("streams-too-many", `stream ${name} would be one over ${MAX_STREAMS}`);
  }
  transaction.run("INSERT INTO stream (name) VALUES (?)", name);
  return { lastSeq: 0, ackedSeq: 0, unsequenced: 0 };
}

export function findStream(transaction: Transaction, name: string): StreamRow | undefined {
  const row = transaction.get("SELECT * FROM stream WHERE name = ?", name);
  return row && streamRow(row);
}

function streamRow(row: Row): StreamRow {
  return {
    lastSeq: Number(row["last_seq"]),
    ackedSeq: Number(row["acked_seq"]),
    unsequenced: Number(row["unsequenced"]),
  };
}
