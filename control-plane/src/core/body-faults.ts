import { nearestName } from "@isthmus/shared/cmpivot/nearest-name";
import { ConnectorError } from "@isthmus/shared/errors";
import { z } from "zod";

/** What is wrong with the body of a request, in words for the person who wrote it. */

/** Own limits: faults that are told at once, names in a list, and characters of what is repeated. */
const MAX_FAULTS = 20;
const MAX_NAMES = 40;
const MAX_REPEATED = 40;

/** One fault. `target` is the property: `target.resourceIds[0]`, or empty for the body itself. */
export interface BodyFault {
  readonly target: string;
  readonly message: string;
}

/** A body that is not as the route takes it. */
export class BodyInvalid extends ConnectorError {
  readonly faults: readonly BodyFault[];

  constructor(faults: readonly BodyFault[]) {
    const told = faults.slice(0, MAX_FAULTS);
    const left = faults.length - told.length;
    const words = told.map(({ target, message }) => `${target || "body"}: ${message}`);
    super("body-invalid", [...words, ...(left > 0 ? [`and ${left} more faults`] : [])].join("; "));
    this.faults = told;
  }
}

/** A fault of one property that no schema says. */
export function bodyFault(target: string, message: string): BodyInvalid {
  return new BodyInvalid([{ target, message }]);
}

/** What the schema makes of the body. Throws `BodyInvalid` with every fault. */
export function parseWithWords<T>(schema: z.ZodType<T>, body: unknown): T {
  // Words that a schema has of its own go before these.
  const parsed = schema.safeParse(body, { error: (issue) => wordsOf(issue) });
  if (parsed.success) return parsed.data;
  throw new BodyInvalid(parsed.error.issues.map(faultOf));
}

function faultOf(issue: z.core.$ZodIssue): BodyFault {
  // Of one property that is unknown it is the property itself that is at fault.
  const [key, ...more] = issue.code === "unrecognized_keys" ? issue.keys : [];
  const isOne = key !== undefined && more.length === 0;
  return { target: targetOf(isOne ? [...issue.path, key] : issue.path), message: issue.message };
}

/** `configuration.sites[0].source`. */
function targetOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((before, part) => {
    if (typeof part === "number") return `${before}[${part}]`;
    const name = short(String(part));
    return before === "" ? name : `${before}.${name}`;
  }, "");
}

function wordsOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return expectedType(issue.expected, issue.input);
    case "invalid_value":
      return expectedOneOf(issue.values, issue.input);
    case "too_small":
      return sizeWords("at least", issue.minimum, issue);
    case "too_big":
      return sizeWords("at most", issue.maximum, issue);
    case "invalid_format":
      return `expected ${formatWords(issue.format, issue.pattern)}`;
    case "unrecognized_keys":
      return unknownWords(issue.keys, knownKeys(issue.inst));
    case "invalid_union":
      return unionWords(issue);
    case "invalid_key":
      return `this name does not fit: ${issue.issues.map(({ message }) => message).join("; ")}`;
    case "invalid_element":
      return issue.issues.map(({ message }) => message).join("; ");
    case "not_multiple_of":
      return `expected a multiple of ${issue.divisor}`;
    case "custom":
    case undefined:
      return "is not as it has to be here";
  }
  return "is not as it has to be here";
}

function expected(what: string, input: unknown): string {
  if (input === undefined) return `is missing; expected ${what}`;
  return `expected ${what}, got ${kindOf(input)}`;
}

/** What was to be text may be a password that somebody sent as a number: it is not repeated. */
function expectedType(type: string, input: unknown): string {
  if (type !== "string" || typeof input !== "number") return expected(typeWords(type), input);
  return `expected ${typeWords(type)}, got a number`;
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text, such as "..."',
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list, such as [...]",
  object: "an object, such as {...}",
  record: "an object, such as {...}",
  null: "null",
};

function typeWords(type: string): string {
  return TYPES[type] ?? type;
}

function kindOf(input: unknown): string {
  if (input === null) return "null";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "string") return "text";
  if (typeof input === "number") return `the number ${input}`;
  return typeof input === "object" ? "an object" : String(input);
}

function expectedOneOf(values: readonly unknown[], input: unknown): string {
  const allowed = values.map(String);
  const what = allowed.length === 1 ? `"${allowed[0]}"` : `one of ${listed(allowed)}`;
  if (typeof input !== "string") return expected(what, input);
  return `expected ${what}, got "${short(input)}"${meant(input, allowed)}`;
}

type Sized = Extract<z.core.$ZodRawIssue, { code: "too_small" | "too_big" }>;

function sizeWords(bound: string, limit: number | bigint, { origin, input }: Sized): string {
  const many = (one: string) =>
    `expected ${bound} ${limit} ${one}${Number(limit) === 1 ? "" : "s"}`;
  if (origin === "string") return `${many("character")}, got ${String(input).length}`;
  if (Array.isArray(input)) {
    return `expected ${bound} ${limit} ${Number(limit) === 1 ? "entry" : "entries"}, got ${input.length}`;
  }
  return `expected a number of ${bound} ${limit}, got ${short(String(input))}`;
}

const FORMATS: Readonly<Record<string, string>> = {
  guid: "a GUID such as 5f1a2b3c-7d4e-4c55-9a61-0c2d4e6f8a10",
  uuid: "a GUID such as 5f1a2b3c-7d4e-4c55-9a61-0c2d4e6f8a10",
  datetime: "a time with its zone, such as 2026-03-01T08:00:00Z",
  date: "a date such as 2026-03-01",
  ipv4: "an IPv4 address such as 10.0.0.53",
  ipv6: "an IPv6 address such as 2001:db8::53",
  cidrv4: "an IPv4 network such as 10.8.0.0/16",
  cidrv6: "an IPv6 network such as 2001:db8::/64",
  base64: "Base64 text",
  base64url: "Base64 text for addresses (RFC 4648 section 5)",
  url: "an address such as https://intranet.example.com/",
  email: "a mail address such as anna@example.com",
};

function formatWords(format: string, pattern: string | undefined): string {
  const words = FORMATS[format];
  if (words !== undefined) return words;
  return pattern === undefined ? `text of the form ${format}` : `text of the form ${pattern}`;
}

function unknownWords(keys: readonly string[], known: readonly string[]): string {
  const [only = "", ...more] = keys;
  const names = keys.map((key) => `${short(key)}${meant(key, known)}`);
  const what =
    more.length === 0
      ? `is no property here${meant(only, known)}`
      : `${listed(names)} are no properties here`;
  return known.length === 0 ? `${what}; there are none` : `${what}; known are ${listed(known)}`;
}

/** The properties of a schema of an object, in the order in which it has them. */
function knownKeys(schema: unknown): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

type Union = Extract<z.core.$ZodRawIssue, { code: "invalid_union" }>;

/** By the property that tells the alternatives apart; else the alternative that fits best. */
function unionWords({ errors, inst, input }: Union): string {
  const [best] = [...errors].sort((one, other) => one.length - other.length);
  if (best === undefined || best.length === 0) {
    if (!(inst instanceof z.ZodDiscriminatedUnion)) return expected("another value", input);
    const name = inst.def.discriminator;
    const given = (input as Readonly<Record<string, unknown>> | undefined)?.[name];
    return expectedOneOf([...(inst._zod.propValues[name] ?? [])], given);
  }
  // Each alternative is a form of the same text.
  const forms = errors.flatMap((each) => (each[0]?.code === "invalid_format" ? each : []));
  if (forms.length === errors.length) {
    return forms
      .map(({ message }, n) => (n === 0 ? message : message.replace(/^expected /, "")))
      .join(" or ");
  }
  const words = best.map(faultOf);
  return words
    .map(({ target, message }) => (target ? `${target}: ${message}` : message))
    .join("; ");
}

function listed(names: readonly string[]): string {
  const left = names.length - MAX_NAMES;
  return left <= 0 ? names.join(", ") : `${names.slice(0, MAX_NAMES).join(", ")} and ${left} more`;
}

function short(text: string): string {
  return text.length <= MAX_REPEATED ? text : `${text.slice(0, MAX_REPEATED)}…`;
}

function meant(typed: string, known: readonly string[]): string {
  const nearest = nearestName(short(typed), known);
  return nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
}
