import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Answer } from "./answer.ts";
import { matching } from "./odata-query.ts";
import type { Pace } from "./pace.ts";
import { rowWriter } from "./row-text.ts";
import type { Capabilities, Principal } from "./site-options.ts";
import type { SiteState } from "./site-state.ts";

type RowsAnswer = Answer & { readonly kind: "rows" };

const CHUNK_CHARACTERS = 1_048_576;
const JSON_TYPE = "application/json; odata.metadata=minimal";

export interface Page {
  readonly state: SiteState;
  readonly principal: Principal;
  readonly pace: Pace;
  readonly base: string;
  /** Rows and no more, as a fault wants it. */
  readonly mostRows?: number;
  /** End the connection within the body. */
  readonly isCut: boolean;
  readonly url: URL;
}

interface Written {
  readonly rows: number;
  /** Whether a fault kept rows back that there were. */
  readonly isShort: boolean;
  /** Whether rows of devices that nobody sees for now were left out. */
  readonly isNarrowed: boolean;
}

/** Writes rows as they are made, so that the whole fleet fits into little memory. */
export async function writePage(
  response: ServerResponse,
  answer: RowsAnswer,
  page: Page,
): Promise<Written> {
  const { query } = answer;
  const { state, pace } = page;
  const { hiddenRows } = state;
  const { capabilities = {} } = state.options;
  await pace.beforePage();
  response.writeHead(200, { "content-type": JSON_TYPE, "odata-version": "4.0" });
  const counted = query.isCounted ? `,"@odata.count":${countOf(answer, page)}` : "";
  let written = `{"@odata.context":"${page.base}/$metadata#${answer.context}"${counted},"value":[`;
  let count = 0;
  let hasMore = false;
  for (const batch of batches(answer, page, limitOf(answer, page, capabilities))) {
    count += batch.rows;
    hasMore = batch.hasMore;
    written += batch.text;
    await pace.rows(batch.rows);
    if (page.isCut || response.destroyed) break;
    if (written.length < CHUNK_CHARACTERS) continue;
    if (!response.write(written)) await drained(response);
    written = "";
  }
  if (page.isCut) {
    response.write(written.slice(0, Math.ceil(written.length / 2)), () => response.destroy());
    return { rows: count, isShort: false, isNarrowed: false };
  }
  response.end(`${written}]${nextLink(answer, page, capabilities, hasMore, count)}}`);
  return {
    rows: count,
    isShort: hasMore && (page.mostRows ?? Infinity) < query.top,
    isNarrowed: state.hiddenRows > hiddenRows,
  };
}

interface Batch {
  readonly text: string;
  readonly rows: number;
  readonly hasMore: boolean;
}

/** The rows as text, some at a time. */
function* batches(answer: RowsAnswer, page: Page, limit: number): Generator<Batch> {
  const { of, query } = answer;
  const write = rowWriter(of, query.columns, false);
  const skipped = query.skip + query.skipToken;
  const isVisible = visibleTo(page.state, page.principal, answer);
  let text = "";
  let rows = 0;
  let seen = 0;
  for (const row of matching(of, query, isVisible)) {
    seen += 1;
    if (seen <= skipped) continue;
    if (seen > skipped + limit) {
      yield { text, rows, hasMore: true };
      return;
    }
    text += (seen === skipped + 1 ? "" : ",") + write(row);
    rows += 1;
    if (text.length < CHUNK_CHARACTERS) continue;
    yield { text, rows, hasMore: false };
    text = "";
    rows = 0;
  }
  yield { text, rows, hasMore: false };
}

export function visibleTo(
  state: SiteState,
  principal: Principal,
  { of }: RowsAnswer,
): (row: unknown) => boolean {
  const isAll = principal.collection === undefined && state.hidden === undefined;
  const { deviceOf } = of;
  if (isAll || deviceOf === undefined) return () => true;
  return (row) => {
    const device = deviceOf(row);
    return device === undefined || state.isVisible(principal, device);
  };
}

function limitOf(
  { query }: RowsAnswer,
  { mostRows = Infinity }: Page,
  { nextLinkRows = Infinity }: Capabilities,
): number {
  return Math.min(query.top, mostRows, nextLinkRows);
}

function countOf(answer: RowsAnswer, { state, principal }: Page): number {
  let count = 0;
  for (const _ of matching(answer.of, answer.query, visibleTo(state, principal, answer)))
    count += 1;
  return count;
}

function nextLink(
  { query }: RowsAnswer,
  { url }: Page,
  { nextLinkRows }: Capabilities,
  hasMore: boolean,
  count: number,
): string {
  if (nextLinkRows === undefined || !hasMore || count >= query.top) return "";
  const next = new URL(url);
  next.searchParams.set("$skiptoken", String(query.skipToken + count));
  if (query.top < 2_147_483_647) next.searchParams.set("$top", String(query.top - count));
  return `,"@odata.nextLink":${JSON.stringify(next.href)}`;
}

/** Until the peer has taken what is buffered, or is gone. */
async function drained(response: ServerResponse): Promise<void> {
  const end = new AbortController();
  const { signal } = end;
  await Promise.race([
    once(response, "drain", { signal }),
    once(response, "close", { signal }),
  ]).catch(() => undefined);
  end.abort();
}
