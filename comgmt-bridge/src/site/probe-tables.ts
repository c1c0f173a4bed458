import { ConnectorError, codeOf, ProtocolError } from "@isthmus/shared/errors";
import { allEnded } from "../core/all-ended.ts";
import { REPORT_COLUMNS, type SiteTable, wantedColumns } from "../core/site-table.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { isAnnotation } from "../protocol/admin-service/answer.ts";
import { readPlainRows } from "../protocol/admin-service/page-rows.ts";
import type { Asking } from "./admin-service-client.ts";
import type { RawPages } from "./raw-pages.ts";
import { isClassIll } from "./silent-classes.ts";

/** A table as this site has it. */
export interface ProbedTable {
  readonly table: SiteTable;
  readonly keyName: string;
  /** Columns to ask for; undefined where the table was empty, so that nobody knows them yet. */
  readonly select: readonly string[] | undefined;
}

/** Why a table is not read. */
export interface MissingTable {
  readonly table: SiteTable;
  readonly code: string;
  readonly fault: ConnectorError;
}

export interface ProbedTables {
  readonly found: readonly ProbedTable[];
  readonly missing: readonly MissingTable[];
}

/** The site's release has no such class, the account may not read it, or it hangs: the records do without. */
const MISSING = new Set([
  "site-not-found",
  "site-forbidden",
  "site-bad-request",
  "site-mfa-demanded",
]);

/**
 * Looks at one row of each table: how the key is spelt, and which of the wanted columns there are. Releases differ, and one unknown
 * name in `$select` has the whole request refused. Throws what the client throws, and for a required table that is missing.
 */
export async function probeTables(
  client: RawPages,
  tables: readonly SiteTable[],
  asking: Asking,
): Promise<ProbedTables> {
  const looks = await allEnded(tables.map((table) => look(client, table, asking)));
  return {
    found: looks.filter((each) => "keyName" in each),
    missing: looks.filter((each) => "fault" in each),
  };
}

async function look(
  client: RawPages,
  table: SiteTable,
  asking: Asking,
): Promise<ProbedTable | MissingTable> {
  try {
    const { rows } = readPlainRows((await client.page(table.of, { top: 1 }, asking)).body.whole);
    return tableOf(table, rows[0]);
  } catch (error) {
    const isBearable =
      error instanceof ConnectorError && (MISSING.has(error.code) || isClassIll(error));
    // An answer that is none is no reason to go without the others; what is wrong with it is found when it is read.
    const isBroken =
      error instanceof ProtocolError ||
      (error instanceof ConnectorError && error.code === "site-failed");
    if (table.isRequired || !(isBearable || isBroken)) throw error;
    if (isBroken) return { table, keyName: table.keyNames[0] ?? "ResourceID", select: undefined };
    return { table, code: codeOf(error), fault: error };
  }
}

function tableOf(table: SiteTable, row: Row | undefined): ProbedTable {
  const [likely = "ResourceID"] = table.keyNames;
  if (row === undefined) return { table, keyName: likely, select: undefined };
  const keyName = table.keyNames.find((name) => Object.hasOwn(row, name));
  if (keyName === undefined) {
    throw new ConnectorError(
      "site-table-key",
      `${table.of.name} has none of the keys ${table.keyNames.join(", ")}: this release of the site is not known`,
    );
  }
  return { table, keyName, select: [keyName, ...columnsOf(table, row, keyName)] };
}

function columnsOf(table: SiteTable, row: Row, keyName: string): readonly string[] {
  const wanted = wantedColumns(table);
  if (wanted !== undefined) {
    return wanted.filter((name) => name !== keyName && Object.hasOwn(row, name));
  }
  const lazy = row["__LAZYPROPERTIES"];
  const unwanted = new Set([keyName, ...REPORT_COLUMNS, ...(Array.isArray(lazy) ? lazy : [])]);
  return Object.keys(row).filter((name) => !isAnnotation(name) && !unwanted.has(name));
}
