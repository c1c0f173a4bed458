import { ProtocolError } from "@isthmus/shared/errors";

/**
 * Answers with status 2xx. A list is `{"@odata.context": ..., "value": [...]}`, and so is one object asked for by its key under
 * `/wmi`; under `/v1.0` an object stands by itself. What a method returns is `{"value": ...}` or stands at the top.
 */

/** Own limit: rows hold lists of embedded objects, nothing deeper. */
const MAX_DEPTH = 16;

export type Row = Readonly<Record<string, unknown>>;

export interface RowsAnswer {
  /** Without annotations (`@odata.*`) and the provider's own properties (`__*`). */
  readonly rows: readonly Row[];
  /** `@odata.nextLink`: the service kept rows back. */
  readonly hasMore: boolean;
}

/** Rows of a list, or the one object. Throws ProtocolError `admin-service-answer`, `admin-service-page` for HTML. */
export function readRows(body: Uint8Array): RowsAnswer {
  const whole = readObject(body);
  const hasMore = typeof whole["@odata.nextLink"] === "string";
  const value = whole["value"];
  if (Array.isArray(value)) return { rows: value.map(rowOf), hasMore };
  // A class may have a property called value; only an object that says nothing else is a wrapper.
  const names = Object.keys(whole).filter((name) => !isAnnotation(name));
  if (names.length === 1 && names[0] === "value" && value !== null && typeof value === "object") {
    return { rows: [rowOf(value)], hasMore };
  }
  if (names.length === 0) throw badAnswer("it holds neither rows nor an object");
  return { rows: [rowOf(whole)], hasMore };
}

/** The one row of an answer by key. Throws as `readRows`, and where there are none or several. */
export function readOneRow(body: Uint8Array): Row {
  const { rows } = readRows(body);
  const [row] = rows;
  if (row !== undefined && rows.length === 1) return row;
  throw badAnswer(`one object was expected, ${rows.length} came`);
}

/** What a method returned, whether in `value` or at the top. Throws as `readRows`. */
export function readReturned(body: Uint8Array): unknown {
  const whole = readObject(body);
  if ("value" in whole) return withoutAnnotations(whole["value"]);
  return withoutAnnotations(whole);
}

/** The `OperationId` that RunCMPivot, RunScript and InitiateClientOperation answer in their different ways. */
export function readOperationId(body: Uint8Array): number {
  const returned = readReturned(body);
  const [of] = Array.isArray(returned) ? returned : [returned];
  const id = isObject(of) ? (of["OperationId"] ?? of["OperationID"]) : of;
  if (typeof id === "number" && Number.isSafeInteger(id) && id > 0) return id;
  throw badAnswer("it names no operation");
}

/** Throws ProtocolError `admin-service-answer`, `admin-service-page`. */
export function readObject(body: Uint8Array): Row {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch (cause) {
    if (isPage(text)) {
      throw new ProtocolError(
        "admin-service-page",
        "a web page came where JSON was expected: something in front of the AdminService answers; check site.url and proxies",
        cause,
      );
    }
    throw badAnswer("it is no JSON", cause);
  }
  if (isObject(whole)) return whole;
  throw badAnswer("it is no JSON object");
}

/** Whether a body is a web page, as proxies and IIS send them. */
export function isPage(text: string): boolean {
  return /^[\uFEFF\s]{0,100}<(?:!doctype|html|head|\?xml)/i.test(text);
}

function rowOf(value: unknown): Row {
  if (isObject(value)) return stripped(value, 0) as Row;
  throw badAnswer("a row is no object");
}

/** Annotations are left out at every depth. Throws ProtocolError where it is nested too deep. */
export function withoutAnnotations(value: unknown): unknown {
  return stripped(value, 0);
}

/** Copies only what changes: most rows hold nothing to strip below the top. */
function stripped(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) throw badAnswer(`it is nested deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) {
    return value.some(isStructured) ? value.map((each) => stripped(each, depth + 1)) : value;
  }
  const names = Object.keys(value);
  const of = value as Row;
  if (!names.some((name) => isAnnotation(name) || isStructured(of[name]))) return value;
  const kept = names.filter((name) => !isAnnotation(name));
  return Object.fromEntries(kept.map((name) => [name, stripped(of[name], depth + 1)]));
}

export function isAnnotation(name: string): boolean {
  return name.startsWith("__") || name.includes("@odata.");
}

function isStructured(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function isObject(value: unknown): value is Row {
  return isStructured(value) && !Array.isArray(value);
}

function badAnswer(what: string, cause?: unknown): ProtocolError {
  return new ProtocolError("admin-service-answer", `the AdminService's answer: ${what}`, cause);
}
