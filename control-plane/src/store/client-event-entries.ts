import type { ClientEvent } from "@isthmus/shared/link/client-events";
import type { InventoryEntry } from "@isthmus/shared/link/inventory-messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import { latestTime } from "./inventory-checks.ts";
import { recordTimeline } from "./timeline-operations.ts";

/** What happened on clients, as lines in the timelines of devices. */

type ClientEventsEntry = Extract<InventoryEntry, { type: "client-events" }>;

/**
 * Writes a line for each event that the device does not have yet, in the order in which they are told. A device that is not known or is
 * gone has no timeline: whoever tells of it anew tells its events again.
 */
export function takeClientEvents(
  of: { readonly transaction: Transaction; readonly sourceId: number; readonly now: number },
  { key, events }: ClientEventsEntry,
): void {
  const { transaction, sourceId, now } = of;
  const record = transaction.get(
    "SELECT id FROM inventory_record WHERE source_id = ? AND kind = 'device' AND key = ? AND deleted_at IS NULL",
    sourceId,
    key,
  );
  if (record === undefined) return;
  const recordId = Number(record["id"]);
  for (const event of events) {
    const { id, at, ...detail } = event;
    recordTimeline(transaction, {
      recordId,
      at: Math.min(at, latestTime(now)),
      now,
      kind: "client.event",
      title: titleOf(event),
      detail,
      eventKey: `client:${id}`,
    });
  }
}

/** `Application Error: Faulting application name: ...`. */
function titleOf({ name, provider, eventId, message }: ClientEvent): string {
  const number = eventId === undefined ? "" : ` ${eventId}`;
  const what = name ?? (provider === undefined ? undefined : `${provider}${number}`);
  const [line] = (message ?? "").trim().split(/\r?\n/, 1);
  const words = [what, line].filter((word) => word !== undefined && word !== "");
  return words.length === 0 ? "An event on the client" : words.join(": ");
}
