import { ConnectorError } from "@isthmus/shared/errors";

/** What may be in a page of rows asked for by `key gt AFTER [and key le THROUGH]`, ordered by key. */
export interface PageBounds {
  /** Exclusive. */
  readonly after: number;
  /** Inclusive; undefined: to the end. */
  readonly through: number | undefined;
  readonly maxRows: number;
  /** Whether a key may have several rows; they stand side by side then. */
  readonly isRepeatable?: boolean;
}

interface KeyedPage {
  /** The key of each row, as it came. */
  readonly keys: readonly unknown[];
  /** Of the page before, to tell a page that came again from one that is merely wrong. */
  readonly previous: readonly unknown[];
}

/**
 * The last key of a page that is what was asked for; undefined for an empty one. Throws ConnectorError `page-key`,
 * `page-repeated`, `page-out-of-range`, `page-unsorted`, `page-too-long`: a page that cannot be trusted ends the range, since
 * rows that are missing from it would count as deleted.
 */
export function lastKeyOf(page: KeyedPage, bounds: PageBounds): number | undefined {
  const { keys } = page;
  if (keys.length > bounds.maxRows) {
    const words = `it has ${keys.length} rows, ${bounds.maxRows} were asked for`;
    throw fault("page-too-long", words, bounds);
  }
  let last: number | undefined;
  for (const key of keys) {
    if (typeof key !== "number" || !Number.isSafeInteger(key)) {
      throw fault("page-key", "a row has no whole number as its key", bounds);
    }
    if (isOutside(key, bounds)) throw outOfRange(key, page, bounds);
    if (last !== undefined && (key < last || (key === last && bounds.isRepeatable !== true))) {
      throw fault("page-unsorted", `the key ${key} stands behind ${last}`, bounds);
    }
    last = key;
  }
  return last;
}

function isOutside(key: number, { after, through }: PageBounds): boolean {
  return key <= after || (through !== undefined && key > through);
}

function outOfRange(key: number, { previous }: KeyedPage, bounds: PageBounds): ConnectorError {
  return key === previous[0]
    ? fault("page-repeated", "the page before came again", bounds)
    : fault("page-out-of-range", `it holds the key ${key}`, bounds);
}

/** Rows came behind a page that was not full: what else is missing nobody knows. */
export function shortPage(rows: number, bounds: PageBounds): ConnectorError {
  return fault(
    "page-short",
    `it has ${rows} rows of ${bounds.maxRows} although more follow; lower site.limits.pageRows if the provider gives no more at once`,
    bounds,
  );
}

function fault(code: string, what: string, { after, through }: PageBounds): ConnectorError {
  const range = through === undefined ? `above ${after}` : `above ${after} through ${through}`;
  // Another reading may find the provider in order again; this one is not to be built upon.
  return new ConnectorError(code, `the page of keys ${range} cannot be trusted: ${what}`, {
    isRetryable: true,
  });
}
