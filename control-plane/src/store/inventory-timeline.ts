import { VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { SqlValue } from "@isthmus/shared/store/transaction";
import { type FieldDifference, facetDifferences } from "../core/facet-differences.ts";
import type { FacetChange, RecordsTarget } from "./inventory-records.ts";
import { recordTimeline, recordTimelines } from "./timeline-operations.ts";

/** What the inventory tells of a device, as lines of its timeline. Other kinds of records have none. */

/** Own limits: fields in one line, and names in its title. */
const MAX_FIELDS = 50;
const MAX_NAMED = 3;

type Target = Pick<RecordsTarget, "transaction" | "sourceName" | "now">;

interface Device {
  readonly id: number;
  readonly kind: RecordKind;
  readonly at: number;
  readonly name: SqlValue;
}

/** One line for each device that is new, and none for each of its fields. */
export function tellAppearances(target: Target, records: readonly Device[], areBack = false): void {
  const devices = records.filter(({ kind }) => kind === "device");
  recordTimelines(
    target.transaction,
    devices.map(({ id: recordId, at, name }) => ({
      ...{ recordId, at, now: target.now },
      kind: areBack ? "device.reappeared" : "device.appeared",
      title: `${name} is ${areBack ? "back " : ""}in ${target.sourceName}`,
    })),
  );
}

/** What changed in facets that were there before. A facet that comes for the first time is no change of anything. */
export function tellChanges(
  target: Target,
  device: Device & { readonly revision: number },
  changes: readonly FacetChange[],
  before: ReadonlyMap<string, unknown>,
): void {
  if (device.kind !== "device") return;
  const fields: FieldDifference[] = [];
  let isCut = false;
  for (const { name, before: stored, after } of changes) {
    if (stored === undefined || name === VOLATILE_FACET) continue;
    const room = MAX_FIELDS - fields.length;
    const found = facetDifferences(name, before.get(name), after?.value, room);
    fields.push(...found.fields);
    isCut ||= found.isCut;
  }
  if (fields.length === 0) return;
  recordTimeline(target.transaction, {
    recordId: device.id,
    at: device.at,
    now: target.now,
    kind: "inventory.changed",
    title: titleOf(fields, isCut),
    detail: { revision: device.revision, fields, isCut },
  });
}

function titleOf(fields: readonly FieldDifference[], isCut: boolean): string {
  const named = new Set(
    fields.map(({ facet, path }) => (path === "" ? facet : `${facet}/${path.slice(0, 100)}`)),
  );
  const shown = [...named].slice(0, MAX_NAMED).join(", ");
  const more = named.size - MAX_NAMED;
  if (more <= 0 && !isCut) return `${shown} changed`;
  return `${shown} and ${isCut ? "more" : `${more} more`} changed`;
}

/** Whether a device went on line or off it: all that is told of what changes with every contact. */
export function tellPresence(
  target: Target,
  device: Device,
  was: SqlValue | undefined,
  is: SqlValue | undefined,
): void {
  const isKnown = typeof was === "number" && typeof is === "number";
  if (device.kind !== "device" || !isKnown || was === is) return;
  recordTimeline(target.transaction, {
    recordId: device.id,
    at: device.at,
    now: target.now,
    kind: is === 1 ? "device.online" : "device.offline",
    title: `${device.name} went ${is === 1 ? "online" : "offline"}`,
  });
}

/** The device is gone; `detail` says how that is known. */
export function tellDeletion(target: Target, device: Device, detail: unknown): void {
  if (device.kind !== "device") return;
  recordTimeline(target.transaction, {
    recordId: device.id,
    at: device.at,
    now: target.now,
    kind: "device.deleted",
    title: `${device.name} is in ${target.sourceName} no more`,
    detail,
  });
}
