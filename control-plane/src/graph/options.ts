import { ProtocolError } from "@isthmus/shared/errors";
import { MAX_TOP } from "../protocol/odata-query.ts";

/** Query options of what is no OData list. An option that is not spoken is refused, never passed over. */

/** Throws ProtocolError `odata-unknown-option`, `odata-repeated-option`. */
export function onlyOptions(query: URLSearchParams, known: readonly string[]): void {
  for (const name of new Set(query.keys())) {
    if (!known.includes(name)) {
      const which =
        known.length === 0 ? "there are none here" : `it is none of ${known.join(", ")}`;
      throw new ProtocolError(
        "odata-unknown-option",
        `Query option ${name.slice(0, 64)}: ${which}`,
      );
    }
    if (query.getAll(name).length > 1) {
      throw new ProtocolError(
        "odata-repeated-option",
        `Query option ${name} stands more than once`,
      );
    }
  }
}

/** `$top` of a page; throws `odata-top`. */
export function topOf(query: URLSearchParams, defaultTop: number): number {
  const text = query.get("$top");
  if (text === null) return defaultTop;
  const top = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (top >= 1 && top <= MAX_TOP) return top;
  throw new ProtocolError("odata-top", `$top must be a number from 1 to ${MAX_TOP}`);
}
