import type { SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import type { TimelineKind } from "../core/timeline.ts";
import { RowInsert } from "./insert-rows.ts";

/** Writes what happens to devices; `timeline-reads.ts` reads it. */

/** Own limits: what one line may say. */
const MAX_TITLE_CHARACTERS = 512;
const MAX_DETAIL_CHARACTERS = 65_536;

/** A line for the timeline of a device. */
export interface NewTimelineEvent {
  readonly recordId: number;
  /** By the clock of who says so. */
  readonly at: number;
  readonly now: number;
  readonly kind: TimelineKind;
  readonly actor?: string | undefined;
  readonly title: string;
  /** JSON, of a shape of its own for each kind; left out where it is longer than 64 KiB. */
  readonly detail?: unknown;
  /** Of what may be told more than once: a line with the key of one that the device has is none. */
  readonly eventKey?: string;
}

const COLUMNS = ["record_id", "at", "recorded_at", "kind", "actor", "title", "detail", "event_key"];
const EVENTS = new RowInsert("timeline_event", COLUMNS);
const KEYED_EVENTS = new RowInsert(
  "timeline_event",
  COLUMNS,
  " ON CONFLICT (record_id, event_key) WHERE event_key IS NOT NULL DO NOTHING",
);

/** Writes a line, inside the transaction of what it tells. */
export function recordTimeline(transaction: Transaction, event: NewTimelineEvent): void {
  const inserts = event.eventKey === undefined ? EVENTS : KEYED_EVENTS;
  inserts.run(transaction, [rowOf(event)]);
}

/** Writes lines that nobody has written before. */
export function recordTimelines(
  transaction: Transaction,
  events: readonly Omit<NewTimelineEvent, "eventKey">[],
): void {
  EVENTS.run(transaction, events.map(rowOf));
}

function rowOf(event: NewTimelineEvent): SqlValue[] {
  const detail = event.detail === undefined ? null : JSON.stringify(event.detail);
  const isTooLong = detail !== null && detail.length > MAX_DETAIL_CHARACTERS;
  return [
    ...[event.recordId, event.at, event.now, event.kind, event.actor ?? null],
    event.title.slice(0, MAX_TITLE_CHARACTERS),
    isTooLong ? '{"isCut":true}' : detail,
    event.eventKey ?? null,
  ];
}
