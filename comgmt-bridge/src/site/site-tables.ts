import { createHash } from "node:crypto";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { KindTables, SiteTable } from "../core/site-table.ts";
import { facetsOf, mayDoWithout } from "../core/site-table.ts";
import type { Asking } from "./admin-service-client.ts";
import { type ProbedTable, probeTables } from "./probe-tables.ts";
import type { RawPages } from "./raw-pages.ts";
import { isClassIll } from "./silent-classes.ts";

/** Own number, raised when the same columns come to other facets, so that unchanged pages are looked into once more. */
const ASSEMBLY = 1;

/** A table as this site has it, and what its hashes begin with: a page of other columns is another page. */
export interface LaidOutTable extends ProbedTable {
  readonly layout: string;
}

/** The tables of a kind as this site has them. */
export interface KindOfSite {
  readonly kind: RecordKind;
  readonly isInRanges: boolean;
  readonly spine: LaidOutTable;
  readonly others: readonly LaidOutTable[];
  /** Whether the site has no more facets of a record than these tables: none is merely kept from us. */
  readonly isAllThereIs: boolean;
  /** Ids of the catalogue, whether the site has them or not. */
  readonly ids: ReadonlySet<string>;
  /** Of these, those whose answers cannot be used at present. */
  readonly leftOut?: ReadonlySet<string>;
}

/**
 * `scope` is whatever else decides what records come of the tables. Throws what `probeTables` does, and the fault of a class that alone is not answered, where nothing
 * may be told without it.
 */
export async function probeKind(
  client: RawPages,
  { kind, spine, others, isInRanges }: KindTables,
  scope: readonly string[],
  asking: Asking,
): Promise<KindOfSite> {
  const all = [spine, ...others];
  const { found, missing } = await probeTables(client, all, asking);
  const silent = missing.filter(({ fault }) => isClassIll(fault));
  const needed = silent.find(({ table }) => !mayDoWithout(spine, table, scope.length > 0));
  if (needed !== undefined) throw needed.fault;
  const [first, ...rest] = found.map((each) => ({ ...each, layout: layoutOf(each, scope) }));
  // The spine is required, so it is here, and first.
  const probed = { spine: first as LaidOutTable, others: rest };
  const isAllThereIs = missing.every(({ code }) => code === "site-not-found");
  const ids = new Set(all.map(({ id }) => id));
  const of = { kind, isInRanges, ...probed, isAllThereIs, ids };
  return silent.length === 0
    ? of
    : { ...of, leftOut: new Set(silent.map(({ table }) => table.id)) };
}

function layoutOf({ table, keyName, select }: ProbedTable, scope: readonly string[]): string {
  const text = JSON.stringify([ASSEMBLY, table.id, keyName, select ?? [], table.content, scope]);
  return createHash("sha256").update(text).digest("hex");
}

export function tablesOf({ spine, others }: KindOfSite): readonly LaidOutTable[] {
  return [spine, ...others];
}

/** All facets of these tables, once each. */
export function facetsOfTables(tables: readonly { readonly table: SiteTable }[]): Set<string> {
  return new Set(tables.flatMap(({ table }) => facetsOf(table)));
}

/** The tables that have columns of a facet. */
export function tablesFeeding(
  tables: readonly LaidOutTable[],
  facets: ReadonlySet<string>,
): readonly LaidOutTable[] {
  return tables.filter(({ table }) => facetsOf(table).some((facet) => facets.has(facet)));
}
