import {
  type ClientEvent,
  MAX_EVENT_COLUMN_CHARACTERS,
  MAX_EVENT_COLUMNS,
  MAX_EVENT_MESSAGE_CHARACTERS,
  MAX_EVENT_WORD_CHARACTERS,
} from "@isthmus/shared/link/client-events";
import { facetHash } from "@isthmus/shared/link/inventory-digest";
import { type Row, readRows } from "./answer.ts";

/**
 * `Device(id)/Events` (memdocs, what's new in the administration service 2002). The documentation names the route and, for tenant
 * attach's timeline, what is collected: name, provider, event id and level of each, with its message and time. It does not name the
 * columns, so each is looked for by the names that Windows, CMPivot and Graph have for it; any other column goes along as it is.
 */

const TIMES = ["EventTime", "EventDateTime", "TimeGenerated", "TimeCreated", "DateTime", "Time"];
const NAMES = ["EventName", "EventType", "DisplayName", "Name"];
const PROVIDERS = ["ProviderName", "EventProvider", "Provider", "SourceName", "Source"];
const NUMBERS = ["EventID", "EventId", "EventCode", "ID", "Id"];
const LEVELS = ["LevelDisplayName", "EventLevel", "Level", "Severity"];
const MESSAGES = ["Message", "EventMessage", "EventDetails", "Description"];
/** winmeta.xml: what the levels of Windows events are called. */
const LEVEL_WORDS: Readonly<Record<number, string>> = {
  1: "Critical",
  2: "Error",
  3: "Warning",
  4: "Information",
  5: "Verbose",
};
/** Say whose the event is, which everybody knows. */
const OWN_COLUMNS = new Set(["MachineId", "ResourceId", "ResourceID"]);

const COLUMN_NAME = /^[A-Za-z][A-Za-z0-9_]{0,127}$/;
/** Edm.DateTimeOffset; a time without a zone is taken to be in UTC, as the site keeps all of its own. */
const DATE_TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:\d\d)?$/;
/** 2000-01-01; 0001-01-01, 1980-01-01 and the like say that there is no time. */
const EARLIEST = 946_684_800_000;

/** An event as the site has it; `at` is undefined where it says no time that can be read. */
export type SiteEvent = Omit<ClientEvent, "at"> & { readonly at: number | undefined };

/** The events of a device, each once, by their time; those without one come last. Throws ProtocolError as `readRows`. */
export function readClientEvents(body: Uint8Array): readonly SiteEvent[] {
  const byId = new Map(
    readRows(body)
      .rows.map(eventOf)
      .map((event) => [event.id, event]),
  );
  const late = Number.POSITIVE_INFINITY;
  return [...byId.values()].toSorted((one, other) => {
    const [a, b] = [one.at ?? late, other.at ?? late];
    return a === b ? compareTexts(one.id, other.id) : a - b;
  });
}

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : 1;
}

function eventOf(row: Row): SiteEvent {
  const taken = new Set<string>();
  const first = <Value>(names: readonly string[], read: (value: unknown) => Value | undefined) => {
    for (const name of names) {
      const value = Object.hasOwn(row, name) ? read(row[name]) : undefined;
      if (value === undefined) continue;
      taken.add(name);
      return value;
    }
    return undefined;
  };
  const at = first(TIMES, timeOf);
  const provider = first(PROVIDERS, wordOf);
  const eventId = first(NUMBERS, wholeOf);
  const level = first(LEVELS, levelOf);
  const name = first(NAMES, wordOf);
  const message = first(MESSAGES, textOf);
  const others = columnsOf(row, taken);
  const isCut = others.isCut || (message?.length ?? 0) > MAX_EVENT_MESSAGE_CHARACTERS;
  return {
    id: identityOf(row),
    at,
    ...(name !== undefined && { name }),
    ...(provider !== undefined && { provider }),
    ...(eventId !== undefined && { eventId }),
    ...(level !== undefined && { level }),
    ...(message !== undefined && { message: cut(message, MAX_EVENT_MESSAGE_CHARACTERS) }),
    ...(isCut && { isCut }),
    ...(Object.keys(others.columns).length > 0 && { columns: others.columns }),
  };
}

/** By all that the row says: neither the order of its columns nor those without a value make it another. */
function identityOf(row: Row): string {
  const said = Object.entries(row).filter(([, value]) => value !== null);
  return facetHash(JSON.stringify(said.toSorted(([one], [other]) => compareTexts(one, other))));
}

function columnsOf(row: Row, taken: ReadonlySet<string>) {
  const columns: Record<string, string | number | boolean> = {};
  let isCut = false;
  for (const [name, value] of Object.entries(row)) {
    if (taken.has(name) || OWN_COLUMNS.has(name) || value === null || value === "") continue;
    const isFull = Object.keys(columns).length >= MAX_EVENT_COLUMNS;
    if (isFull || !COLUMN_NAME.test(name)) {
      isCut = true;
      continue;
    }
    if (typeof value === "number" || typeof value === "boolean") columns[name] = value;
    else {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      isCut ||= text.length > MAX_EVENT_COLUMN_CHARACTERS;
      columns[name] = cut(text, MAX_EVENT_COLUMN_CHARACTERS);
    }
  }
  return { columns, isCut };
}

function timeOf(value: unknown): number | undefined {
  const found = typeof value === "string" && value.length <= 64 ? DATE_TIME.exec(value) : null;
  if (found === null) return undefined;
  const [, day, time, zone = "Z"] = found;
  // biome-ignore lint/style/noRestrictedGlobals: a calendar, no clock is read
  const at = Date.parse(`${day}T${time}${zone}`);
  return at >= EARLIEST ? at : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}

function wordOf(value: unknown): string | undefined {
  const text = textOf(value);
  return text === undefined ? undefined : cut(text, MAX_EVENT_WORD_CHARACTERS);
}

function levelOf(value: unknown): string | undefined {
  if (typeof value !== "number") return wordOf(value);
  return LEVEL_WORDS[value] ?? String(value);
}

function wholeOf(value: unknown): number | undefined {
  const number = typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : undefined;
}

/** Half a character at the end, or anywhere else, becomes U+FFFD. */
function cut(text: string, characters: number): string {
  return text.slice(0, characters).toWellFormed();
}
