import type { Transaction } from "@isthmus/shared/store/transaction";
import type {
  Applied,
  InventoryState,
  KeyBounds,
  ReadChanges,
  ReadRange,
} from "../core/inventory-state.ts";
import { tellDeleted } from "./inventory-entries.ts";
import { Telling } from "./inventory-telling.ts";
import {
  boundsOf,
  countRecords,
  forgetPagesAt,
  forgetRanges,
  forgetSomePagesAt,
  keepPages,
  kindState,
  numberOf,
  pagesOf,
} from "./kind-state.ts";
import { RecordReading, recordsOf } from "./record-reading.ts";
import {
  deleteRecord,
  findRecord,
  missAgain,
  missRecord,
  type RecordRow,
  rowsOfRange,
} from "./record-rows.ts";

/** See `InventoryState.applyRange`. */
export function applyRange(transaction: Transaction, argument: ReadRange): Applied {
  const reading = new RecordReading(transaction, argument);
  const { id, completeScans } = reading.kind;
  const bounds = boundsOf(argument.range);
  const missing = new Map<string, RecordRow>();
  for (const row of rowsOfRange(transaction, id, bounds)) missing.set(row.key, row);
  const taken = new Set<string>();
  for (const record of recordsOf(argument.records, argument.facets)) {
    const { key } = record;
    const isElsewhere = taken.has(key) || !isWithin(key, bounds);
    reading.take(record, isElsewhere ? findRecord(transaction, id, key) : missing.get(key));
    taken.add(key);
    missing.delete(key);
  }
  for (const row of missing.values()) {
    missRecord(transaction, id, row, { completeScans, at: argument.at });
  }
  const known = pagesOf(transaction, argument);
  // A record that the range did not have when its pages were last looked into may be in one that came in the bytes of then.
  const isPartlyRead = reading.hasFound && Object.keys(known).length > 0;
  const { pages, before } = argument;
  if (reading.isOpen || isPartlyRead) forgetRanges(transaction, id, bounds);
  else keepPages(transaction, id, bounds, { pages, before, known });
  reading.end();
  return { changed: reading.changed, missing: missing.size };
}

function isWithin(key: string, { after, through }: KeyBounds): boolean {
  const number = numberOf(key);
  return number > after && number <= through;
}

/** See `InventoryState.passOverRange`. */
export function passOverRange(
  transaction: Transaction,
  argument: Parameters<InventoryState["passOverRange"]>[0],
): void {
  const { at } = new Telling(transaction, argument);
  const { id } = kindState(transaction, argument);
  missAgain(transaction, id, boundsOf(argument.range), at);
}

/** See `InventoryState.applyChanges`. A range that holds any of it is read again, even if it comes in the bytes of before. */
export function applyChanges(transaction: Transaction, argument: ReadChanges): Applied {
  const reading = new RecordReading(transaction, argument);
  const { id } = reading.kind;
  const { pages } = argument;
  for (const record of recordsOf(argument.records, argument.facets)) {
    const known = findRecord(transaction, id, record.key);
    if (!reading.take(record, known)) continue;
    const number = numberOf(record.key);
    const wasThere = known !== undefined && known.missedAfter === undefined && !known.isSuspected;
    if (pages === undefined || !wasThere) forgetPagesAt(transaction, id, number);
    else forgetSomePagesAt(transaction, id, number, pages);
  }
  reading.end();
  bury(transaction, argument);
  return { changed: reading.changed, missing: 0 };
}

/** Deletes what the source itself says is gone: no scan has to prove it. */
function bury(transaction: Transaction, argument: ReadChanges): void {
  if (argument.tombstones.length === 0) return;
  const { id, kind } = kindState(transaction, argument);
  const keys: string[] = [];
  for (const key of argument.tombstones) {
    const row = findRecord(transaction, id, key);
    if (row === undefined) continue;
    deleteRecord(transaction, id, row);
    countRecords(transaction, id, row.isSuspected ? 0 : -1);
    forgetPagesAt(transaction, id, row.number);
    keys.push(key);
  }
  const telling = new Telling(transaction, argument);
  tellDeleted(transaction, telling, { kind, keys, evidence: { how: "tombstone", scans: [] } });
  telling.end();
}
