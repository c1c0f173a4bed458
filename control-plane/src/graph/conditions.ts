import { ProtocolError } from "@isthmus/shared/errors";
import type { ComparedValue, Condition, Order } from "../core/list-query.ts";
import { recordIdOfGuid } from "../core/record-guid.ts";
import { type Property, propertiesOf, type ResourceName } from "../core/resources.ts";
import type { ODataFilter, ODataLiteral } from "../protocol/odata-filter.ts";
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
      if (comparable(resource, filter.property).type !== "text") {
        throw wrongType(filter.property, "a string, as this function wants");
      }
      return filter;
    }
    case "compare":
      return comparisonOf(resource, filter);
  }
}

function comparisonOf(
  resource: ResourceName,
  filter: Extract<ODataFilter, { kind: "compare" }>,
): Condition {
  const property = comparable(resource, filter.property);
  const isOrdered = filter.operator !== "eq" && filter.operator !== "ne";
  const hasNoOrder = property.type === "boolean" || property.type === "record";
  if (isOrdered && (hasNoOrder || filter.literal.type === "null")) {
    throw wrongType(filter.property, "a value that has an order");
  }
  return {
    kind: "compare",
    property: filter.property,
    operator: filter.operator,
    value: valueFor(filter.property, property, filter.literal),
  };
}

function valueFor(name: string, property: Property, literal: ODataLiteral): ComparedValue {
  if (literal.type === "null") return null;
  const expected = LITERALS[property.type as keyof typeof LITERALS];
  if (literal.type !== expected) throw wrongType(name, `a ${expected}`);
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

function comparable(resource: ResourceName, name: string): Property {
  const property = propertyNamed(resource, name);
  if (property.type === "json") throw wrongType(name, "a single value");
  return property;
}

function propertyNamed(resource: ResourceName, name: string): Property {
  const properties = propertiesOf(resource);
  const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
  if (property !== undefined) return property;
  throw new ProtocolError("odata-unknown-property", `${resource} have no property ${name}`);
}

function wrongType(name: string, expected: string): ProtocolError {
  return new ProtocolError("odata-property-type", `Property ${name} is not ${expected}`);
}
