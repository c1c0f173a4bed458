import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import { openBatch } from "@isthmus/shared/link/batch-frame";
import { MAX_ENTRY_BYTES, MAX_STREAMS } from "@isthmus/shared/link/messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { IncomingBatch, IngestOutcome } from "../core/link-records.ts";
import { entryHandlerOf, entryHandlers, lineHandlers } from "./connector-entries.ts";
import { checkSession, recordConnectorEvent } from "./connector-sessions.ts";
import { keepDeadLetter } from "./dead-letters.ts";
import type { IngestContext } from "./ingest-context.ts";
import { BucketRows, mergeDifferences } from "./inventory-drift.ts";

/**
 * Stores a batch and the stream's new seq in one transaction. Entries already applied are passed over; an entry that cannot
 * be taken goes to the dead letters with its bytes. Throws `session-stale`, `stream-unknown`, `stream-gap`.
 */
function ingestBatch(transaction: Transaction, batch: IncomingBatch): IngestOutcome {
  const { connectorId, stream, firstSeq, entryCount } = batch;
  const connector = checkSession(transaction, batch);
  const handler = entryHandlerOf(stream, String(connector["service"]));
  if (handler === undefined) {
    throw new ConnectorError("stream-unknown", `there is no stream "${stream.slice(0, 32)}"`);
  }
  const applied = appliedSeq(transaction, batch);
  const keep = (seq: number, code: string, bytes: Uint8Array) =>
    keepDeadLetter(transaction, { connectorId, stream, seq, code, bytes, now: batch.now });
  let present = firstSeq;
  const context: IngestContext = {
    transaction,
    connectorId,
    service: String(connector["service"]),
    epoch: Number(connector["epoch"]),
    now: batch.now,
    entryOctets: 0,
    endedCommands: [],
    newCommands: 0,
    changedActions: new Set(),
    differences: [],
    bucketRows: new BucketRows(),
    keepDeadLetter: (code, bytes) => keep(present, code, bytes),
  };
  const lastSeq = firstSeq + entryCount - 1;
  if (lastSeq <= applied) return outcome(context, applied, []);
  checkContinuity(transaction, batch, applied);
  const lines = linesOf(batch);
  if (lines === undefined) {
    keep(firstSeq, "batch-malformed", batch.compressed);
    setApplied(transaction, batch, lastSeq);
    const all = Array.from({ length: entryCount }, (_, i) => firstSeq + i);
    const rejected = all.filter((seq) => seq > applied);
    return outcome(
      context,
      lastSeq,
      rejected.map((seq) => ({ seq, code: "batch-malformed" })),
    );
  }
  const rejected: { seq: number; code: string }[] = [];
  for (const [index, line] of lines.entries()) {
    const seq = firstSeq + index;
    if (seq <= applied) continue;
    present = seq;
    context.entryOctets = lines.length === 1 ? batch.rawBytes : Buffer.byteLength(line);
    const code = take(context, handler, line, lineHandlers[stream]);
    if (code === undefined) continue;
    keep(seq, code, Buffer.from(line));
    rejected.push({ seq, code });
  }
  setApplied(transaction, batch, lastSeq);
  return outcome(context, lastSeq, rejected);
}

function outcome(
  context: IngestContext,
  seq: number,
  rejected: IngestOutcome["rejected"],
): IngestOutcome {
  return {
    seq,
    rejected,
    endedCommands: context.endedCommands,
    hasNewCommands: context.newCommands > 0,
    changedActions: [...context.changedActions],
    differences: mergeDifferences(context.differences),
  };
}

/** The code of the refusal when an entry cannot be taken. What is not the entry's fault (a full disk) is thrown on. */
function take(
  context: IngestContext,
  handler: (context: IngestContext, entry: unknown) => void,
  line: string,
  takeLine: ((context: IngestContext, line: string) => boolean) | undefined,
): string | undefined {
  try {
    if (context.entryOctets > MAX_ENTRY_BYTES) {
      throw new ProtocolError("entry-too-large", `entry exceeds ${MAX_ENTRY_BYTES} bytes`);
    }
    if (takeLine?.(context, line) !== true) handler(context, parse(line));
    return undefined;
  } catch (error) {
    if (error instanceof ConnectorError && !error.isRetryable) return error.code;
    if (isConstraintFault(error)) return "entry-contradicts";
    throw error;
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new ProtocolError("entry-not-json", "entry is not JSON", cause);
  }
}

/** SQLITE_CONSTRAINT and its extended codes: the entry breaks a rule of the schema. */
function isConstraintFault(error: unknown): boolean {
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) : 0;
  return (code & 0xff) === 19;
}

/** Undefined where the payload is not what the header says. */
function linesOf({ compressed, rawBytes, entryCount }: IncomingBatch): string[] | undefined {
  try {
    const lines = openBatch(compressed, rawBytes).split("\n");
    return lines.length === entryCount ? lines : undefined;
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function appliedSeq(transaction: Transaction, { connectorId, stream }: IncomingBatch): number {
  const row = transaction.get(
    "SELECT seq FROM stream_cursor WHERE connector_id = ? AND stream = ?",
    connectorId,
    stream,
  );
  return Number(row?.["seq"] ?? 0);
}

function setApplied(transaction: Transaction, batch: IncomingBatch, seq: number): void {
  transaction.run(
    `INSERT INTO stream_cursor (connector_id, stream, seq) VALUES (?, ?, ?)
     ON CONFLICT (connector_id, stream) DO UPDATE SET seq = excluded.seq`,
    batch.connectorId,
    batch.stream,
    seq,
  );
}

/** Entries may only be missing where the connector says that it has them no more; that is kept for a person to see. */
function checkContinuity(transaction: Transaction, batch: IncomingBatch, applied: number): void {
  const { connectorId, stream, firstSeq, now } = batch;
  if (firstSeq <= applied + 1) return;
  if (!batch.isAfterPruned) {
    throw new ConnectorError(
      "stream-gap",
      `stream ${stream} continues at ${firstSeq}, expected ${applied + 1}`,
      { isRetryable: true },
    );
  }
  const detail = `${stream} ${applied + 1} to ${firstSeq - 1} are gone at the connector`;
  recordConnectorEvent(transaction, connectorId, now, "stream.pruned", detail);
}

if (Object.keys(entryHandlers).length > MAX_STREAMS)
  throw new Error("more streams than a hello holds");

/** What comes up from connectors. */
export const ingestOperations = { ingestBatch };
