import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { Row } from "../protocol/admin-service/answer.ts";
import type { ClassName } from "../protocol/admin-service/path.ts";
import { compare, type Query } from "../protocol/admin-service/query.ts";
import type { Asking, Page } from "./admin-service-client.ts";
import type { RowSource } from "./read-key-range.ts";

/** What a provider was seen to do, since no document says it. `undefined`: it has too few devices to tell. */
export interface SiteCapabilities {
  /** How SMS_R_System spells its key; undefined where the account sees no device. */
  readonly keyName: "ResourceId" | "ResourceID" | undefined;
  readonly greaterThan: boolean | undefined;
  readonly greaterOrEqual: boolean | undefined;
  readonly orderBy: boolean | undefined;
  readonly top: boolean | undefined;
  readonly skip: boolean | undefined;
  /** Whether long lists end with an `@odata.nextLink`. */
  readonly nextLink: boolean;
  /** Rows of the longest page, at most what was asked for. */
  readonly pageRows: number;
}

const SYSTEMS: ClassName = { route: "wmi", name: "SMS_R_System" };

/** Asks for rows in the ways that the bridge would like to. Throws what the client throws, but for a refused query. */
export async function probeCapabilities(
  source: RowSource,
  pageRows: number,
  asking: Asking,
): Promise<SiteCapabilities> {
  const ask = (query: Query) => refusable(source.rows(SYSTEMS, query, asking));
  const start = await ask({ top: 2 });
  if (start === undefined) {
    throw new ConnectorError(
      "site-no-top",
      "the site refuses $top, without which no page is bounded",
    );
  }
  const [row] = start.rows;
  const keyName = row === undefined ? undefined : keyNameOf(row);
  if (row === undefined || keyName === undefined) return nothingSeen(start);
  const first = Number(row[keyName]);
  const select = [keyName];
  const above = await ask({ filter: compare(keyName, "gt", first), select, top: 1 });
  const from = await ask({ filter: compare(keyName, "ge", first), select, top: 1 });
  const down = await ask({ orderBy: { property: keyName, isDescending: true }, select, top: 2 });
  const behind = await ask({ select, top: 1, skip: 1 });
  const long = await ask({ select, top: pageRows });
  const isSeveral = start.rows.length > 1;
  return {
    keyName,
    top: start.rows.length <= 2,
    greaterThan: above !== undefined && keysOf(above, keyName).every((key) => key > first),
    greaterOrEqual: from !== undefined && keysOf(from, keyName).every((key) => key >= first),
    orderBy: isSeveral ? down !== undefined && isFalling(keysOf(down, keyName)) : undefined,
    skip: isSeveral ? behind !== undefined && keysOf(behind, keyName)[0] !== first : undefined,
    nextLink: long?.hasMore ?? false,
    pageRows: long?.rows.length ?? 0,
  };
}

/** A query that the site does not understand is what is looked for. */
async function refusable(asked: Promise<Page>): Promise<Page | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (codeOf(error) === "site-bad-request") return undefined;
    throw error;
  }
}

function keyNameOf(row: Row): SiteCapabilities["keyName"] {
  if (typeof row["ResourceId"] === "number") return "ResourceId";
  return typeof row["ResourceID"] === "number" ? "ResourceID" : undefined;
}

function keysOf({ rows }: Page, keyName: string): number[] {
  return rows.map((row) => Number(row[keyName]));
}

function isFalling(keys: readonly number[]): boolean {
  return keys.every((key, index) => index === 0 || key < (keys[index - 1] ?? 0));
}

function nothingSeen(start: Page): SiteCapabilities {
  return {
    keyName: undefined,
    greaterThan: undefined,
    greaterOrEqual: undefined,
    orderBy: undefined,
    top: undefined,
    skip: undefined,
    nextLink: start.hasMore,
    pageRows: 0,
  };
}
