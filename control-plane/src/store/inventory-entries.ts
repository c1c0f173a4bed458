import { ProtocolError } from "@isthmus/shared/errors";
import { type InventoryEntry, inventoryEntry } from "@isthmus/shared/link/inventory-messages";
import { takeClientEvents } from "./client-event-entries.ts";
import { recordConnectorEvent } from "./connector-sessions.ts";
import type { IngestContext } from "./ingest-context.ts";
import { isRecordsEntry, latestTime } from "./inventory-checks.ts";
import { applyDeletions } from "./inventory-deletions.ts";
import { compareBucket, compareDigest } from "./inventory-drift.ts";
import { readRecordsLine } from "./inventory-lines.ts";
import { withinQuota } from "./inventory-quota.ts";
import { applyRecords } from "./inventory-records.ts";
import { recordSourceEvent, type Source, sourceNamed } from "./inventory-sources.ts";
import { type RecordsEntry, sentRecord, toldRecords } from "./told-records.ts";

/** Entries that are passed over are told of once in this time: a bridge that lost its lease may have thousands on their way. */
const TOLD_EVERY_MS = 3_600_000;
const PASSED_OVER = "inventory.passed-over";

type Entry = Exclude<InventoryEntry, { readonly type: "records" }> | RecordsEntry;

/** Takes the line of an entry that holds records as bridges write them; false for any other line. */
export function takeRecordsLine(context: IngestContext, line: string): boolean {
  const entry = readRecordsLine(line);
  if (entry !== undefined) takeEntry(context, entry);
  return entry !== undefined;
}

/**
 * Takes an entry of the `inventory` stream. One that carries no lease in force, or comes from somebody else than the holder, is passed
 * over: whoever holds the lease tells it again. Throws ProtocolError for what is no entry.
 */
export function takeInventoryEntry(context: IngestContext, value: unknown): void {
  takeEntry(context, readEntry(value));
}

function takeEntry(context: IngestContext, entry: Entry): void {
  const { transaction, connectorId, now } = context;
  const source = sourceNamed(transaction, entry.source);
  if (source?.connectorId !== connectorId || source.lease !== entry.lease) {
    passOver(context, entry, source);
    return;
  }
  withinQuota({ transaction, source, now, octets: context.entryOctets }, entry, (allowed) =>
    applyEntry(context, source, allowed),
  );
}

function applyEntry(context: IngestContext, source: Source, entry: Entry): void {
  const { transaction, now } = context;
  const target = { transaction, sourceId: source.id, sourceName: source.name, source, now };
  switch (entry.type) {
    case "records":
      context.bucketRows.forget();
      takeRecords(context, source, entry);
      break;
    case "deleted":
      context.bucketRows.forget();
      applyDeletions(target, entry);
      break;
    case "digest": {
      const message = compareDigest(target, entry);
      if (message !== undefined) context.differences.push(message);
      break;
    }
    case "bucket":
      context.differences.push(...compareBucket(target, entry, context.bucketRows));
      break;
    case "event": {
      const { event, message, kind, figures, keys } = entry;
      const at = Math.min(entry.at, latestTime(now));
      const what = { at, event, message, kind, figures, keys };
      recordSourceEvent(transaction, { sourceId: source.id, now, side: "bridge", ...what });
      break;
    }
    case "client-events":
      takeClientEvents(target, entry);
      break;
  }
}

function readEntry(value: unknown): Entry {
  if (typeof value === "object" && value !== null && "type" in value && value.type === "records") {
    const entry = value as Readonly<Record<string, unknown>>;
    if (isRecordsEntry(entry)) return toldRecords(entry);
    throw new ProtocolError("entry-invalid", "entry of records is invalid");
  }
  const result = inventoryEntry.safeParse(value);
  if (result.success && result.data.type !== "records") return result.data;
  throw new ProtocolError("entry-invalid", "inventory entry is invalid", result.error);
}

/** A record that cannot be taken is kept with its bytes; the others of the entry are taken. The next digest asks for it again. */
function takeRecords(context: IngestContext, source: Source, entry: RecordsEntry): void {
  const { transaction, now } = context;
  const codes = new Map<string, number>();
  applyRecords(
    {
      transaction,
      now,
      sourceId: source.id,
      sourceName: source.name,
      refuse: (record, code) => {
        codes.set(code, (codes.get(code) ?? 0) + 1);
        context.keepDeadLetter(code, Buffer.from(JSON.stringify(sentRecord(record))));
      },
    },
    entry,
  );
  for (const [code, refused] of codes) {
    transaction.run(
      "UPDATE inventory_source SET refused = refused + ? WHERE id = ?",
      refused,
      source.id,
    );
    const message = `${refused} of ${entry.records.length} records of an entry: ${code}`;
    const event = { at: now, now, event: "records.refused", message, figures: { refused } };
    recordSourceEvent(transaction, { sourceId: source.id, side: "cloud", ...event });
  }
}

function passOver(
  { transaction, connectorId, now }: IngestContext,
  entry: { readonly source: string; readonly lease: number },
  source: Source | undefined,
): void {
  if (source !== undefined) {
    transaction.run(
      "UPDATE inventory_source SET passed_over = passed_over + 1 WHERE id = ?",
      source.id,
    );
  }
  const isTold = transaction.get(
    "SELECT 1 FROM connector_event WHERE connector_id = ? AND at > ? AND event = ? LIMIT 1",
    connectorId,
    now - TOLD_EVERY_MS,
    PASSED_OVER,
  );
  if (isTold !== undefined) return;
  const inForce = source === undefined ? "nobody reads" : `lease ${source.lease} is in force of`;
  const detail = `entries under lease ${entry.lease}: ${inForce} ${entry.source}`;
  recordConnectorEvent(transaction, connectorId, now, PASSED_OVER, detail);
}
