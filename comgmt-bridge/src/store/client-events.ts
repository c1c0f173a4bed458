import { type ClientEvent, MAX_CLIENT_EVENTS_IN_ENTRY } from "@isthmus/shared/link/client-events";
import type { Migration, Operations, Transaction } from "@isthmus/shared/store/transaction";
import type { ClientEventState, EventSweep, ReadEvent } from "../core/client-events.ts";
import { tell } from "./inventory-entries.ts";
import { Telling } from "./inventory-telling.ts";
import { findKind } from "./kind-state.ts";

/** Own limits: devices looked at in one part of a walk; octets of an entry, so that a result behind it does not wait for long. */
const SWEPT_AT_ONCE = 1_000;
const GROUPED_BYTES = 196_608;
/** Devices that were not read for so long are gone. */
const FORGOTTEN_MS = 60 * 86_400_000;
/** Of an event's id, in hex: enough to tell the events of one device apart. */
const KEPT_CHARACTERS = 12;

type ArgumentOf<Name extends keyof ClientEventState> = Parameters<ClientEventState[Name]>[0];

export const clientEventMigrations: readonly Migration[] = [
  {
    id: "bridge-client-events",
    sql: `
      -- What the last answer about a device held: no event, but the beginning of the id of each, one behind the other.
      CREATE TABLE client_event_reading (
        source TEXT NOT NULL,
        -- ResourceID.
        number INTEGER NOT NULL,
        read_at INTEGER NOT NULL,
        -- Under which lease, and in which epoch of the link: what was told under another one may not have been taken.
        told_under TEXT NOT NULL,
        events TEXT NOT NULL,
        PRIMARY KEY (source, number)
      ) STRICT, WITHOUT ROWID;
    `,
  },
];

const IS_THERE = "missed_after IS NULL AND is_suspected = 0";

function devicesDue(
  transaction: Transaction,
  { source, keys, before }: ArgumentOf<"devicesDue">,
): readonly number[] {
  const kind = findKind(transaction, { source, kind: "device" });
  if (kind === undefined) return [];
  return keys.filter((key) => {
    const record = transaction.get(
      `SELECT 1 FROM record_state WHERE kind_id = ? AND number = ? AND ${IS_THERE}`,
      kind.id,
      key,
    );
    return record !== undefined && readAt(transaction, source, key) < before;
  });
}

function readAt(transaction: Transaction, source: string, key: number): number {
  const row = transaction.get(
    "SELECT read_at FROM client_event_reading WHERE source = ? AND number = ?",
    source,
    key,
  );
  return row === undefined ? Number.NEGATIVE_INFINITY : Number(row["read_at"]);
}

function sweepDevices(
  transaction: Transaction,
  { source, after, before }: ArgumentOf<"sweepDevices">,
): EventSweep {
  const kind = findKind(transaction, { source, kind: "device" });
  if (kind === undefined) return { keys: [], through: undefined };
  const numbers = transaction
    .all(
      `SELECT number FROM record_state WHERE kind_id = ? AND number > ? AND ${IS_THERE} ORDER BY number LIMIT ${SWEPT_AT_ONCE}`,
      kind.id,
      Math.max(after, 0),
    )
    .map((row) => Number(row["number"]));
  const through = numbers.length < SWEPT_AT_ONCE ? undefined : numbers.at(-1);
  if (through === undefined) {
    const forgotten = "DELETE FROM client_event_reading WHERE source = ? AND read_at < ?";
    transaction.run(forgotten, source, before - FORGOTTEN_MS);
  }
  return { keys: numbers.filter((key) => readAt(transaction, source, key) < before), through };
}

function applyEvents(
  transaction: Transaction,
  { source, lease, at, key, events }: ArgumentOf<"applyEvents">,
): { readonly told: number } {
  const telling = new Telling(transaction, { source, lease, at });
  const [isKnown] = devicesDue(transaction, { source, keys: [key], before: Infinity });
  if (isKnown === undefined) return { told: 0 };
  const epoch = Number(transaction.get("SELECT epoch FROM command_lane")?.["epoch"]);
  const toldUnder = `${lease}/${epoch}`;
  const known = eventsKnown(transaction, { source, key, toldUnder });
  const fresh = events.filter(({ id }) => !known.has(id.slice(0, KEPT_CHARACTERS)));
  for (const some of entriesOf(fresh, at)) {
    tell(transaction, { type: "client-events", source, lease, at, key: String(key), events: some });
  }
  transaction.run(
    `INSERT INTO client_event_reading (source, number, read_at, told_under, events) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (source, number) DO UPDATE SET read_at = excluded.read_at, told_under = excluded.told_under,
       events = excluded.events`,
    source,
    key,
    at,
    toldUnder,
    events.map(({ id }) => id.slice(0, KEPT_CHARACTERS)).join(""),
  );
  telling.end();
  return { told: fresh.length };
}

function eventsKnown(
  transaction: Transaction,
  of: { readonly source: string; readonly key: number; readonly toldUnder: string },
): ReadonlySet<string> {
  const row = transaction.get(
    "SELECT events FROM client_event_reading WHERE source = ? AND number = ? AND told_under = ?",
    of.source,
    of.key,
    of.toldUnder,
  );
  return new Set(String(row?.["events"] ?? "").match(/.{12}/g));
}

/** In as many entries as it takes. */
function entriesOf(events: readonly ReadEvent[], readAt: number): ClientEvent[][] {
  const entries: ClientEvent[][] = [];
  let last: ClientEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const told = { ...event, at: event.at ?? readAt };
    const more = Buffer.byteLength(JSON.stringify(told)) + 1;
    if (last.length === MAX_CLIENT_EVENTS_IN_ENTRY || bytes + more > GROUPED_BYTES) {
      entries.push(last);
      last = [];
      bytes = 0;
    }
    last.push(told);
    bytes += more;
  }
  return last.length === 0 ? entries : [...entries, last];
}

export const clientEventOperations = {
  devicesDue,
  sweepDevices,
  applyEvents,
} satisfies Operations;
