import { parseTop } from "../protocol/odata-query.ts";
import { QueryOptionError } from "../protocol/query-option-error.ts";

/** Query options of what is no OData list. An option that is not spoken is refused, never passed over. */

/** Throws QueryOptionError `odata-unknown-option`, `odata-repeated-option`. */
export function onlyOptions(query: URLSearchParams, known: readonly string[]): void {
  for (const name of new Set(query.keys())) {
    if (!known.includes(name)) {
      const which =
        known.length === 0
          ? "there are none here"
          : `those that there are here: ${known.join(", ")}`;
      throw new QueryOptionError(
        name.slice(0, 64),
        "odata-unknown-option",
        `Query option ${name.slice(0, 64)} is not known; ${which}`,
      );
    }
    if (query.getAll(name).length > 1) {
      throw new QueryOptionError(
        name,
        "odata-repeated-option",
        `Query option ${name} stands more than once`,
      );
    }
  }
}

/** `$top` of a page; throws `odata-top`. */
export function topOf(query: URLSearchParams, defaultTop: number): number {
  return parseTop(query.get("$top") ?? undefined, defaultTop);
}
