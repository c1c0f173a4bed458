import { VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { SqlValue } from "@isthmus/shared/store/transaction";
import {
  type ApplicationChange,
  applicationChanges,
  applicationStates,
  ERRORS_FACET,
  STATES_FACET,
} from "../core/application-states.ts";
import { type FieldDifference, facetDifferences } from "../core/facet-differences.ts";
import { fieldWords } from "../core/timeline-words.ts";
import type { FacetChange, RecordsTarget } from "./inventory-records.ts";
import { recordTimeline, recordTimelines } from "./timeline-operations.ts";

/** What the inventory tells of a device, as lines of its timeline. Other kinds of records have none. */

/** Own limits: fields in one line, and names in its title. */
const MAX_FIELDS = 50;
const MAX_NAMED = 3;
/** Own limit: applications of one reading that have a line each. */
const MAX_APPLICATIONS = 50;

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

const TOLD_OTHERWISE = new Set([VOLATILE_FACET, STATES_FACET, ERRORS_FACET]);

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
    if (stored === undefined || TOLD_OTHERWISE.has(name)) continue;
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

/** One line for each application that came to another state. `stored` is what a facet is that did not change. */
export function tellApplications(
  target: Target,
  device: Device & { readonly revision: number },
  changes: readonly FacetChange[],
  of: { readonly before: ReadonlyMap<string, unknown>; stored(facet: string): unknown },
): void {
  const states = changes.find(({ name }) => name === STATES_FACET);
  const errors = changes.find(({ name }) => name === ERRORS_FACET);
  if (device.kind !== "device" || (states === undefined && errors === undefined)) return;
  // A facet that comes for the first time is no change of anything.
  if (states !== undefined && states.before === undefined) return;
  const was = (facet: string, change: FacetChange | undefined) =>
    change === undefined ? of.stored(facet) : of.before.get(facet);
  const is = (facet: string, change: FacetChange | undefined) =>
    change === undefined ? of.stored(facet) : change.after?.value;
  const found = applicationChanges(
    applicationStates(was(STATES_FACET, states), was(ERRORS_FACET, errors)),
    applicationStates(is(STATES_FACET, states), is(ERRORS_FACET, errors)),
    MAX_APPLICATIONS,
  );
  recordTimelines(
    target.transaction,
    found.map((change) => ({
      ...{ recordId: device.id, at: device.at, now: target.now, kind: "application.changed" },
      title: applicationTitle(change),
      detail: {
        revision: device.revision,
        fields: [{ facet: STATES_FACET, path: change.name, ...sides(change) }],
      },
    })),
  );
}

function sides({ before, after }: ApplicationChange) {
  return { ...(before !== undefined && { before }), ...(after !== undefined && { after }) };
}

function applicationTitle({ name, before, after }: ApplicationChange): string {
  if (after === undefined) return `${name} is not deployed here any more (${before})`;
  return before === undefined ? `${name}: ${after}` : `${name}: ${before} → ${after}`;
}

function titleOf(fields: readonly FieldDifference[], isCut: boolean): string {
  const named = new Set(fields.map(fieldWords));
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
