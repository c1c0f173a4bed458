import { ProtocolError } from "@isthmus/shared/errors";
import type { ComparedValue, Condition, Order } from "../core/list-query.ts";
import { recordIdOfGuid } from "../core/record-guid.ts";
import { type Property, propertiesOf, type ResourceName } from "../core/resources.ts";
import type { ODataFilter } from "../protocol/odata-filter.ts";
import type { OrderTerm } from "../protocol/odata-query.ts";

/** Which literal fits which property; what is `json` can be neither filtered nor sorted. */
const LITERALS = {
  text: "string",
  number: "number",
  time: "time",
  boolean: "boolean",
  record: "string",
  sequence: "string",
} as const;

/**
 * A parsed filter with every property found and every literal of its property's type. Throws ProtocolError
 * `odata-unknown-property`, `odata-property-type`.
 */
export function conditionOf(resource: ResourceName, filter: ODataFilter): Condition {
  switch (filter.kind) {
    case "and":
    case "or":
      return {
        kind: filter.kind,
        operands: filter.operands.map((operand) => conditionOf(resource, operand)),
      };
    case "not":
      return { kind: "not", operand: conditionOf(resource, filter.operand) };
    case "startswith":
    case "contains": {
      const { kind, property, text, at } = filter;
      if (comparable(resource, property, at).type !== "text") {
        throw wrongType(property, "a string, as this function wants", at);
      }
      return { kind, property, text };
    }
    case "compare":
      return comparisonOf(resource, filter);
  }
}

function comparisonOf(
  resource: ResourceName,
  filter: Extract<ODataFilter, { kind: "compare" }>,
): Condition {
  const property = comparable(resource, filter.property, filter.at);
  const isOrdered = filter.operator !== "eq" && filter.operator !== "ne";
  const hasNoOrder = property.type === "boolean" || property.type === "record";
  if (isOrdered && (hasNoOrder || filter.literal.type === "null")) {
    throw wrongType(filter.property, "a value that has an order: eq and ne alone fit", filter.at);
  }
  return {
    kind: "compare",
    property: filter.property,
    operator: filter.operator,
    value: valueFor(filter, property),
  };
}

function valueFor(
  { property: name, literal, at }: Extract<ODataFilter, { kind: "compare" }>,
  property: Property,
): ComparedValue {
  if (literal.type === "null") return null;
  const expected = LITERALS[property.type as keyof typeof LITERALS];
  if (literal.type !== expected) throw wrongLiteral(name, LITERAL_WORDS[expected], at);
  if (literal.type === "boolean") return Number(literal.value);
  return storedValue(property, literal.value);
}

/** A value as the store has it: where a record or a place in a sequence is meant, its number, or 0, which is nobody's. */
export function storedValue(
  property: Property | undefined,
  value: string | number,
): string | number {
  if (property?.type === "record") return recordIdOfGuid(String(value)) ?? 0;
  if (property?.type === "sequence") return /^\d{1,16}$/.test(String(value)) ? Number(value) : 0;
  return value;
}

/** What is listed by its end where nobody says otherwise. */
const NEWEST_FIRST: readonly ResourceName[] = ["configurationManagerSiteEvents"];

/** The order of `$orderby`, made total by the id. */
export function orderOf(resource: ResourceName, terms: readonly OrderTerm[]): Order[] {
  for (const { property } of terms) comparable(resource, property);
  const isTotal = terms.some(({ property }) => property === "id");
  const isDescending = terms.length === 0 && NEWEST_FIRST.includes(resource);
  return isTotal ? [...terms] : [...terms, { property: "id", isDescending }];
}

/** The properties of `$select`, the id among them; all of them without. */
export function selectionOf(
  resource: ResourceName,
  select: readonly string[] | undefined,
): readonly string[] {
  if (select === undefined) return Object.keys(propertiesOf(resource));
  for (const name of select) propertyNamed(resource, name);
  return [...new Set(["id", ...select])];
}

/** `at` is where it stands in a filter. */
function comparable(resource: ResourceName, name: string, at?: number): Property {
  const property = propertyNamed(resource, name, at);
  if (property.type === "json") throw wrongType(name, "a single value", at);
  return property;
}

function propertyNamed(resource: ResourceName, name: string, at?: number): Property {
  const properties = propertiesOf(resource);
  const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
  if (property !== undefined) return property;
  const known = Object.entries(properties)
    .filter(([, { type }]) => at === undefined || type !== "json")
    .map(([each]) => each);
  throw new ProtocolError(
    "odata-unknown-property",
    `${resource} have no property ${name}${placed(at)}: allowed are ${known.join(", ")}`,
  );
}

function placed(at: number | undefined): string {
  return at === undefined ? "" : ` (at character ${at} of $filter)`;
}

function wrongType(name: string, expected: string, at?: number): ProtocolError {
  return new ProtocolError(
    "odata-property-type",
    `Property ${name}${placed(at)} is not ${expected}`,
  );
}

const LITERAL_WORDS = {
  string: "a string in single quotation marks",
  number: "a number",
  time: "a time such as 2026-01-31T12:00:00Z",
  boolean: "true or false",
} as const;

function wrongLiteral(name: string, expected: string, at: number): ProtocolError {
  return new ProtocolError(
    "odata-property-type",
    `Property ${name}${placed(at)} is compared with ${expected}`,
  );
}
