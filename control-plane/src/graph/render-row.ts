import type { ComparedValue, ListedRow } from "../core/list-query.ts";
import { recordGuid } from "../core/record-guid.ts";
import { type Property, propertiesOf, type ResourceName } from "../core/resources.ts";
import { isoTime, SHAPES } from "./shapes.ts";

/** A row as the API shows it: times in ISO 8601, booleans and JSON as such, in the order of `properties`. */
export function renderRow(
  resource: ResourceName,
  row: ListedRow,
  properties: readonly string[],
): Readonly<Record<string, unknown>> {
  const known = propertiesOf(resource);
  return Object.fromEntries(
    properties.map((name) => [name, render(known[name] ?? TEXT, row[name] ?? null)]),
  );
}

/** As many as any of them can have. */
const SEQUENCE_DIGITS = 16;
const TEXT: Property = { type: "text" };

function render({ type, shape }: Property, value: ComparedValue): unknown {
  if (value === null) return null;
  switch (type) {
    case "text":
    case "number":
      return value;
    case "boolean":
      return value === 1;
    case "time":
      return isoTime(Number(value));
    case "record":
      return recordGuid(Number(value));
    case "sequence":
      return String(value).padStart(SEQUENCE_DIGITS, "0");
    case "json": {
      const parsed: unknown = JSON.parse(String(value));
      return shape === undefined ? parsed : SHAPES[shape](parsed);
    }
  }
}
