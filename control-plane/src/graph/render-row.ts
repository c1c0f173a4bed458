import type { ComparedValue, ListedRow } from "../core/list-query.ts";
import { type PropertyType, propertiesOf, type ResourceName } from "../core/resources.ts";

/** A row as the API shows it: times in ISO 8601, booleans and JSON as such, in the order of `properties`. */
export function renderRow(
  resource: ResourceName,
  row: ListedRow,
  properties: readonly string[],
): Readonly<Record<string, unknown>> {
  const known = propertiesOf(resource);
  return Object.fromEntries(
    properties.map((name) => [name, render(known[name]?.type ?? "text", row[name] ?? null)]),
  );
}

function render(type: PropertyType, value: ComparedValue): unknown {
  if (value === null) return null;
  switch (type) {
    case "text":
    case "number":
      return value;
    case "boolean":
      return value === 1;
    case "time":
      return new Date(Number(value)).toISOString();
    case "json":
      return JSON.parse(String(value));
  }
}
