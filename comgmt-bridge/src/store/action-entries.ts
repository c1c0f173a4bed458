import { appendToStream } from "@isthmus/shared/link/lane-operations";
import {
  ACTIONS_STREAM,
  type ActionEntry,
  MAX_QUERY_ROWS_IN_ENTRY,
  type SiteCounts,
} from "@isthmus/shared/link/site-messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { DeviceNews } from "../core/actions/action-state.ts";

/** Own limits: entries of about this size, well below what the link takes. */
const ENTRY_BYTES = 131_072;
const MAX_DEVICES_IN_ENTRY = 500;
/** Those of the wire. */
const MAX_REASON = 1_024;
const MAX_OUTPUT = 131_072;
const MAX_OUTPUT_BYTES = 196_608;
const MAX_COLUMN = 128;

interface Told {
  readonly id: string;
  readonly source: string;
  readonly at: number;
}

/** Puts the news of devices into the stream, in as many entries as it takes. */
export function tellProgress(
  transaction: Transaction,
  { id, source, at }: Told,
  news: readonly DeviceNews[],
  counts?: SiteCounts,
): void {
  const told = news.map(toldDevice);
  for (const [index, devices] of grouped(told, MAX_DEVICES_IN_ENTRY).entries()) {
    const entry: ActionEntry = {
      ...{ type: "progress", source, commandId: id, at, devices },
      ...(index === 0 && counts && { counts }),
    };
    appendToStream(transaction, { stream: ACTIONS_STREAM, at, entry });
  }
}

/** Puts the rows of one device into the stream; an answer without rows is one entry without rows. */
export function tellRows(
  transaction: Transaction,
  { id, source, at }: Told,
  of: {
    readonly resourceId: number;
    readonly rows: readonly Readonly<Record<string, unknown>>[];
    readonly isTruncated: boolean;
  },
): void {
  const named = of.rows.map(withShortNames);
  const fitting = named.filter((row) => sizeOf(row) <= ENTRY_BYTES);
  const isTruncated = of.isTruncated || fitting.length < named.length;
  const groups = fitting.length === 0 ? [[]] : grouped(fitting, MAX_QUERY_ROWS_IN_ENTRY);
  for (const rows of groups) {
    const key = String(of.resourceId);
    const entry: ActionEntry = { type: "rows", source, commandId: id, at, key, rows, isTruncated };
    appendToStream(transaction, { stream: ACTIONS_STREAM, at, entry });
  }
}

function toldDevice({ resourceId, reason, output, ...news }: DeviceNews) {
  const kept = output === undefined ? undefined : cutOutput(output);
  return {
    key: String(resourceId),
    ...news,
    ...(reason !== undefined && { reason: reason.slice(0, MAX_REASON).toWellFormed() }),
    ...(kept !== undefined && {
      output: kept,
      isTruncated: (news.isTruncated ?? false) || kept.length < (output?.length ?? 0),
    }),
  };
}

/** Text that JSON escapes may be six times as long there. */
function cutOutput(output: string): string {
  let kept = output.slice(0, MAX_OUTPUT).toWellFormed();
  while (sizeOf(kept) > MAX_OUTPUT_BYTES) kept = kept.slice(0, kept.length / 2).toWellFormed();
  return kept;
}

function withShortNames(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(row).map(([name, value]) => [name.slice(0, MAX_COLUMN), value]);
  return Object.fromEntries(entries);
}

function grouped<Of>(all: readonly Of[], most: number): Of[][] {
  const groups: Of[][] = [];
  let bytes = 0;
  for (const each of all) {
    const size = sizeOf(each);
    const last = groups.at(-1);
    if (last !== undefined && last.length < most && bytes + size <= ENTRY_BYTES) {
      last.push(each);
      bytes += size;
    } else {
      groups.push([each]);
      bytes = size;
    }
  }
  return groups;
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
