import { ProtocolError } from "@isthmus/shared/errors";
import { type Row, readObject } from "./answer.ts";

const VALUE = Buffer.from('"value":[');
const END = Buffer.from("]}");
/** Where the rows of a list begin: behind the annotations of the whole, which are short. */
const MAX_HEAD_BYTES = 4_096;

/**
 * The bytes of a list's rows without what stands around them, `{"@odata.context":...,"value":[` and `]}`: the same whether the rows came
 * in one page or in several. The whole body where it is nothing so plain; a list that goes on elsewhere is none.
 */
export function rowBytes(body: Buffer): Buffer {
  const at = body.subarray(0, MAX_HEAD_BYTES).indexOf(VALUE);
  const isPlain = at >= 0 && body.subarray(-END.length).equals(END);
  return isPlain ? body.subarray(at + VALUE.length, body.length - END.length) : body;
}

/**
 * The rows of a list as they came, annotations and all: for those who take single columns of many rows. Throws ProtocolError
 * `admin-service-answer`, `admin-service-page`.
 */
export function readPlainRows(body: Buffer): {
  readonly rows: readonly Row[];
  readonly hasMore: boolean;
} {
  const whole = readObject(body);
  const { value } = whole;
  if (!Array.isArray(value) || !value.every(isRow)) {
    throw new ProtocolError(
      "admin-service-answer",
      "the AdminService's answer: it is no list of rows",
    );
  }
  return { rows: value, hasMore: typeof whole["@odata.nextLink"] === "string" };
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
