import type { Column, EdmType, EntityClass } from "./entity-class.ts";

/** Turns rows of a class into JSON; whatever is the same in every row is text that was made once. */
export type RowWriter<Row> = (row: Row) => string;

const NEEDS_ESCAPE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;

export function quoted(value: string): string {
  return NEEDS_ESCAPE.test(value) ? JSON.stringify(value) : `"${value}"`;
}

const TWO_DIGITS = Array.from({ length: 60 }, (_, value) => String(value).padStart(2, "0"));
const DAY_MS = 86_400_000;
let lastDay = Number.NaN;
let lastDayText = "";

/** `2026-01-15T08:00:00Z`: WMI keeps whole seconds. Pages have thousands of them, so no Date is made for each. */
export function dateText(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  if (day !== lastDay) {
    lastDay = day;
    lastDayText = dayTexts.get(day) ?? new Date(ms).toISOString().slice(0, 11);
    if (dayTexts.size < MOST_DAYS) dayTexts.set(day, lastDayText);
  }
  const seconds = Math.floor((ms - day * DAY_MS) / 1_000);
  const minutes = Math.floor(seconds / 60);
  const [hour, minute] = [TWO_DIGITS[Math.floor(minutes / 60)], TWO_DIGITS[minutes % 60]];
  return `${lastDayText}${hour}:${minute}:${TWO_DIGITS[seconds % 60]}Z`;
}

const MOST_DAYS = 10_000;
const dayTexts = new Map<number, string>();

/** What a value is in JSON, by its type. */
export function jsonOf(value: unknown, type: EdmType): string {
  if (value === null || value === undefined) return "null";
  switch (type) {
    case "Edm.Int32":
    case "Edm.Int64":
    case "Edm.Boolean":
      return String(value);
    case "Edm.String":
      return quoted(String(value));
    case "Edm.DateTimeOffset":
      return `"${dateText(Number(value))}"`;
    case "Collection(Edm.String)":
      return textsOf(value as readonly string[]);
    case "Collection(Edm.DateTimeOffset)":
      return `[${(value as readonly number[]).map((each) => `"${dateText(each)}"`).join()}]`;
    case "Complex":
      return JSON.stringify(value);
  }
}

const knownTexts = new WeakMap<readonly string[], string>();

/** Lists that many rows share are written once. */
function textsOf(values: readonly string[]): string {
  const known = knownTexts.get(values);
  if (known !== undefined) return known;
  const written = `[${values.map(quoted).join()}]`;
  if (Object.isFrozen(values)) knownTexts.set(values, written);
  return written;
}

interface Piece<Row> {
  readonly column: Column<Row>;
  /** The name, and what is the same in every row before it. */
  readonly before: string;
  readonly isHidden: boolean;
}

/** The writer of a class for these columns; `isByKey` shows lazy ones, too. */
export function rowWriter<Row>(
  of: EntityClass<Row>,
  columns: readonly Column<Row>[],
  isByKey: boolean,
): RowWriter<Row> {
  const lazyNames = of.columns.filter(({ isLazy }) => isLazy).map(({ name }) => name);
  const names = ["__QUALIFIER_SECURITYVERBS", ...lazyNames];
  const head = of.route === "wmi" ? wmiHead(of, names) : () => "{";
  const pieces = columns.map((column, index) => ({
    column,
    before: `${index === 0 && of.route !== "wmi" ? "" : ","}"${column.name}":`,
    isHidden: column.isLazy === true && !isByKey,
  }));
  const { varying, end } = withConstants(pieces);
  const overrides = (row: Row) => of.deviceOf?.(row)?.change?.columns?.[of.name];
  return (row) => {
    const changed = overrides(row);
    let written = head(row);
    if (changed === undefined) {
      for (const { column, before } of varying)
        written += before + jsonOf(column.get(row), column.type);
      return `${written}${end}}`;
    }
    for (const { column, before, isHidden } of pieces) {
      const value = isHidden ? null : (changed[column.name] ?? column.get(row));
      written += before + jsonOf(value, column.type);
    }
    return `${written}}`;
  };
}

/** By convention a getter that takes no row gives the same for all: its text becomes a part of what stands around it. */
function withConstants<Row>(pieces: readonly Piece<Row>[]) {
  const varying: Piece<Row>[] = [];
  let constant = "";
  for (const piece of pieces) {
    const { get, type } = piece.column;
    if (piece.isHidden) constant += `${piece.before}null`;
    else if (get.length === 0) constant += piece.before + jsonOf((get as () => unknown)(), type);
    else {
      varying.push({ ...piece, before: constant + piece.before });
      constant = "";
    }
  }
  return { varying, end: constant };
}

/** What a provider puts before the properties of an instance. */
function wmiHead<Row>({ keys, columns }: EntityClass<Row>, lazyNames: readonly string[]) {
  const [key] = keys;
  const column = columns.find(({ name }) => name === key);
  const after = `","__LAZYPROPERTIES":${JSON.stringify(lazyNames)},"__QUALIFIER_SECURITYVERBS":-1`;
  return (row: Row) => `{"@odata.etag":"${String(column?.get(row) ?? "")}${after}`;
}

/** A value of a row as filters see it, with what a test changed. */
export function columnValue<Row>(of: EntityClass<Row>, column: Column<Row>, row: Row): unknown {
  return of.deviceOf?.(row)?.change?.columns?.[of.name]?.[column.name] ?? column.get(row);
}
