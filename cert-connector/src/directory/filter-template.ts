import { ProtocolError } from "@isthmus/shared/errors";

/**
 * An LDAP filter (RFC 4515) with variables in its values, as far as accounts are looked for: `&`, `|`, `!`, presence,
 * equality, and an equality by a matching rule.
 *
 *     filter = "(" ( "&" filter+ | "|" filter+ | "!" filter | attribute "=*" | attribute [":" rule ":"] "=" value ) ")"
 *     value  = ( character | "\" two hex digits | "{{" name [":guid"] "}}" )*
 */
export type FilterTemplate =
  | { readonly kind: "and" | "or"; readonly filters: readonly FilterTemplate[] }
  | { readonly kind: "not"; readonly filter: FilterTemplate }
  | { readonly kind: "present"; readonly attribute: string }
  | {
      readonly kind: "equal";
      readonly attribute: string;
      /** The object identifier of a matching rule. */
      readonly rule: string | undefined;
      readonly value: readonly ValuePart[];
    };

export type ValuePart =
  | { readonly kind: "octets"; readonly octets: Buffer }
  | { readonly kind: "variable"; readonly name: string; readonly form: "text" | "guid" };

/** Our own limits. */
const MAX_DEPTH = 8;
const MAX_PARTS = 64;

const COMPARISON = /^([A-Za-z][\w-]*)(?::([0-9.]+):)?=([^()]*)$/;
const PART = /\{\{([^{}:]*)(:guid)?\}\}|\\([0-9a-f]{2})|([^\\{}*]+)|(.)/gis;

/** Reads a filter template. Throws ProtocolError `directory-filter` with what is wrong. */
export function parseFilterTemplate(text: string): FilterTemplate {
  const { filter, end } = parseAt(text.trim(), 0, 0);
  if (end !== text.trim().length) throw fault("something follows its last parenthesis");
  return filter;
}

interface Parsed {
  readonly filter: FilterTemplate;
  readonly end: number;
}

function parseAt(text: string, at: number, depth: number): Parsed {
  if (depth > MAX_DEPTH) throw fault(`deeper than ${MAX_DEPTH}`);
  if (text[at] !== "(") throw fault(`expected "(" at ${at}`);
  const operator = text[at + 1];
  if (operator === "&" || operator === "|") return parseSet(text, at + 2, depth, operator);
  if (operator === "!") {
    const { filter, end } = parseAt(text, at + 2, depth + 1);
    return { filter: { kind: "not", filter }, end: closed(text, end) };
  }
  const end = text.indexOf(")", at);
  if (end < 0) throw fault("a parenthesis is not closed");
  return { filter: parseComparison(text.slice(at + 1, end)), end: end + 1 };
}

function parseSet(text: string, at: number, depth: number, operator: "&" | "|"): Parsed {
  const filters: FilterTemplate[] = [];
  let end = at;
  while (text[end] === "(") {
    if (filters.length === MAX_PARTS) throw fault(`more than ${MAX_PARTS} parts`);
    const parsed = parseAt(text, end, depth + 1);
    filters.push(parsed.filter);
    end = parsed.end;
  }
  if (filters.length === 0) throw fault(`nothing after ${operator}`);
  return { filter: { kind: operator === "&" ? "and" : "or", filters }, end: closed(text, end) };
}

function closed(text: string, at: number): number {
  if (text[at] !== ")") throw fault(`expected ")" at ${at}`);
  return at + 1;
}

function parseComparison(text: string): FilterTemplate {
  const [, attribute, rule, value = ""] = COMPARISON.exec(text) ?? [];
  if (attribute === undefined) throw fault(`"${text}" is no comparison`);
  if (value === "*" && rule === undefined) return { kind: "present", attribute };
  return { kind: "equal", attribute, rule, value: parseValue(value) };
}

function parseValue(text: string): ValuePart[] {
  return Array.from(text.matchAll(PART), ([, name, guid, hex, literal, other]) => {
    if (name !== undefined) {
      return { kind: "variable", name: name.trim(), form: guid === undefined ? "text" : "guid" };
    }
    if (other !== undefined) throw fault(`"${other}" in a value has to be written as \\xx`);
    const octets = hex === undefined ? Buffer.from(literal ?? "") : Buffer.from(hex, "hex");
    return { kind: "octets", octets };
  });
}

/** The names of all variables, as they are written. */
export function variablesOf(filter: FilterTemplate): readonly string[] {
  switch (filter.kind) {
    case "and":
    case "or":
      return filter.filters.flatMap(variablesOf);
    case "not":
      return variablesOf(filter.filter);
    case "present":
      return [];
    case "equal":
      return filter.value.flatMap((part) => (part.kind === "variable" ? [part.name] : []));
  }
}

function fault(message: string): ProtocolError {
  return new ProtocolError("directory-filter", `filter: ${message}`);
}
