import type { ConnectorError } from "@isthmus/shared/errors";
import { aFewAtATime } from "../core/a-few-at-a-time.ts";
import type { KeyBounds } from "../core/inventory-state.ts";
import { lastKeyOf, shortPage } from "../core/key-page.ts";
import { RANGE_KEYS } from "../core/key-ranges.ts";
import { joinedEnds, type OpenEnd } from "../core/range-ends.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { type CutRows, RowCutter } from "../protocol/admin-service/cut-rows.ts";
import { readPlainRows } from "../protocol/admin-service/page-rows.ts";
import type { Filter } from "../protocol/admin-service/query.ts";
import type { Asking } from "./admin-service-client.ts";
import type { AnswerBody } from "./answer-body.ts";
import { EndProofs } from "./end-proofs.ts";
import { within } from "./key-filter.ts";
import type { RawPages } from "./raw-pages.ts";
import { cutLayout } from "./record-assembly.ts";
import type { LaidOutTable } from "./site-tables.ts";

/** Own limits: how long a page of a single device may become, and how often a range is read until its pages are whole. */
const MAX_TOP = 100_000;
const MAX_READINGS = 14;
/** Own choice: how full a page may be expected to become before it is asked for whole. */
const FILLED = 0.85;

export interface TableReaderOptions {
  readonly client: RawPages;
  /** Rows that the site gives at once, and is asked for at most. */
  readonly pageRows: number;
  /** Whether the site understands `$orderby`; without it, it gives rows in the order of their keys or the range fails. */
  readonly isOrdered: boolean;
  readonly onRead?: (table: string, requests: number) => void;
  /** See `EndProofs`. */
  readonly onOneAtATime?: (why: ConnectorError) => void;
}

interface Part {
  readonly after: number;
  readonly through: number;
  readonly top: number;
  readonly body: AnswerBody;
  /** Counted when somebody looked. */
  rows?: number;
}

/** A range of a table as it came, not looked into. */
export interface TableBytes {
  readonly table: LaidOutTable;
  readonly range: KeyBounds;
  readonly parts: readonly Part[];
}

/** Rows of a range: cut out of their pages, or parsed where a page is not plain enough for that. */
export interface SeenRows {
  readonly rows: readonly Row[];
  readonly cut: readonly CutRows[];
  readonly count: number;
}

/** How a range is divided into requests; learnt, since nobody knows how many rows a device has. */
interface Division {
  keysPerRequest: number;
  top: number;
}

/**
 * Reads ranges of tables. A range is taken for whole only once the site has said that nothing is left of it: rows that are missing
 * from it would count as deleted. That takes further requests, so only ranges whose bytes are new are looked into.
 */
export class TableReader {
  readonly #options: TableReaderOptions;
  readonly #divisions = new Map<string, Division>();
  readonly #cutters = new WeakMap<LaidOutTable, RowCutter>();
  readonly #proofs: EndProofs;

  constructor(options: TableReaderOptions) {
    this.#options = options;
    this.#proofs = new EndProofs((...asked) => this.#ask(...asked), options.onOneAtATime);
  }

  /** Throws what the client throws. */
  async fetch(table: LaidOutTable, range: KeyBounds, asking: Asking): Promise<TableBytes> {
    const { keysPerRequest, top } = this.#divisionOf(table);
    const bounds: KeyBounds[] = [];
    for (let { after } = range; after < range.through; after += keysPerRequest) {
      bounds.push({ after, through: Math.min(after + keysPerRequest, range.through) });
    }
    const parts = await aFewAtATime(bounds, async (part) => ({
      ...part,
      top,
      body: await this.#ask(table, within(table.keyName, part), top, asking),
    }));
    return { table, range, parts };
  }

  /**
   * The rows of a range, and the bytes that they were at last read in. Throws ConnectorError `page-*` (retryable) for pages that
   * cannot be trusted, ProtocolError, and what the client throws.
   */
  async rows(
    bytes: TableBytes,
    asking: Asking,
    /** Whether there is anything in the range from which to learn how long requests may be. */
    isInhabited = true,
  ): Promise<SeenRows & { readonly bytes: TableBytes }> {
    const { table, range } = bytes;
    let isSecondReading = false;
    for (let readings = 1, read = bytes; ; readings += 1) {
      const seen = await this.#look(read, asking);
      if (seen.kind === "whole") {
        if (isInhabited) this.#grow(table, read);
        return { ...seen.seen, bytes: read };
      }
      // Rows may have come while it was read; what is short twice is short for a reason.
      if (seen.kind === "short" && !isSecondReading) isSecondReading = true;
      else if (readings >= MAX_READINGS || !this.#divide(table, seen.kind)) throw seen.fault;
      read = await this.fetch(table, range, asking);
    }
  }

  #divisionOf({ table }: LaidOutTable): Division {
    const known = this.#divisions.get(table.id);
    if (known !== undefined) return known;
    const { pageRows } = this.#options;
    const keys = Math.max(1, Math.floor(pageRows / table.rowsPerKey));
    const division = { keysPerRequest: 2 ** Math.floor(Math.log2(keys)), top: pageRows };
    this.#divisions.set(table.id, division);
    return division;
  }

  /** Requests that came back far from full may ask for more keys; nothing is read anew for it. */
  #grow(table: LaidOutTable, { parts }: TableBytes): void {
    const division = this.#divisionOf(table);
    const most = parts.reduce((rows, part) => Math.max(rows, part.rows ?? 0), 0);
    const isSpare = most * 2 <= division.top * FILLED && division.keysPerRequest < RANGE_KEYS;
    if (isSpare) division.keysPerRequest *= 2;
  }

  /** Whether there is a smaller request to try. */
  #divide(table: LaidOutTable, because: "full" | "short"): boolean {
    const division = this.#divisionOf(table);
    if (division.keysPerRequest > 1) division.keysPerRequest /= 2;
    else if (because === "full" && division.top < MAX_TOP) {
      division.top = Math.min(MAX_TOP, division.top * 4);
    } else return false;
    return true;
  }

  async #look({ table, parts }: TableBytes, asking: Asking) {
    const rows: Row[] = [];
    const cut: CutRows[] = [];
    const ends: OpenEnd[] = [];
    let count = 0;
    for (const part of parts) {
      const page = this.#page(table, part.body.whole);
      count += page.keys.length;
      part.rows = page.keys.length;
      const end = endOf(table, part, page);
      if (end.kind === "full") return end;
      if (end.kind === "open") ends.push(end.end);
      if ("rows" in page) for (const row of page.rows) rows.push(row);
      else cut.push(page.cut);
    }
    const mostRows = parts[0]?.top ?? 1;
    const fault = await this.#proofs.shortEnd(table, { ends: joinedEnds(ends), mostRows }, asking);
    if (fault !== undefined) return { kind: "short", fault } as const;
    return { kind: "whole", seen: { rows, cut, count } } as const;
  }

  #page(table: LaidOutTable, body: Buffer) {
    const cut = this.#cutterOf(table).cut(body);
    if (cut !== undefined) return { cut, keys: cut.keys, hasMore: false };
    const page = readPlainRows(body);
    return { ...page, keys: page.rows.map((row) => row[table.keyName]) };
  }

  #cutterOf(of: LaidOutTable): RowCutter {
    const known = this.#cutters.get(of);
    if (known !== undefined) return known;
    const cutter = new RowCutter(cutLayout(of));
    this.#cutters.set(of, cutter);
    return cutter;
  }

  async #ask(
    { table, keyName, select }: LaidOutTable,
    filter: Filter,
    top: number,
    asking: Asking,
  ): Promise<AnswerBody> {
    const { client, isOrdered, onRead } = this.#options;
    onRead?.(table.id, 1);
    const query = {
      filter,
      top,
      ...(select !== undefined && { select }),
      ...(isOrdered && { orderBy: { property: keyName } }),
    };
    return (await client.page(table.of, query, asking)).body;
  }
}

/** What the last row of a part says of its end. Throws ConnectorError `page-*`. */
function endOf(
  { table }: LaidOutTable,
  part: Part,
  { keys, hasMore }: { readonly keys: readonly unknown[]; readonly hasMore: boolean },
):
  | { readonly kind: "open"; readonly end: OpenEnd }
  | { readonly kind: "over" }
  | { readonly kind: "full"; readonly fault: ConnectorError } {
  const isRepeatable = table.content.kind !== "columns";
  const bounds = { ...part, maxRows: part.top, isRepeatable };
  const last = lastKeyOf({ keys, previous: [] }, bounds);
  if (last === part.through && !isRepeatable) return { kind: "over" };
  const fault = shortPage(keys.length, bounds);
  if (keys.length >= part.top || hasMore) return { kind: "full", fault };
  const after = last === undefined ? part.after : last - 1;
  const ofLast = last === undefined ? 0 : keys.length - keys.indexOf(last);
  return { kind: "open", end: { after, through: part.through, ofLast, fault } };
}
