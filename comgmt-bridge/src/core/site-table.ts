import type { RecordKind } from "@isthmus/shared/link/inventory-messages";

/** Under `/v1.0` or `/wmi` of the AdminService. */
export interface ClassName {
  readonly route: "v1.0" | "wmi";
  readonly name: string;
}

/**
 * Which tables of a site's AdminService make up the records of each kind, and to which facet each column goes. What changes by itself
 * all the time is in no page that a scan compares: such columns are of tables with `reading: "seldom"`, or not asked for at all.
 * Columns that a site lacks are left out (`site/probe-tables.ts`), and so are tables, unless `isRequired`.
 */
export interface SiteTable {
  /** Among the tables of its kind: what its page is called where hashes are kept. */
  readonly id: string;
  readonly of: ClassName;
  /** As sites are known to spell it; the first that a row has. */
  readonly keyNames: readonly string[];
  /** Without it a kind cannot be read. */
  readonly isRequired: boolean;
  /** In every scan, or in the first and once in a longer period, besides what hints tell. */
  readonly reading: "always" | "seldom";
  /** About how many rows there are for one key; 1 says that there is never more than one. */
  readonly rowsPerKey: number;
  readonly content: TableContent;
}

export type TableContent =
  /** One row for a record: columns by facet. A facet may have columns of several tables. */
  | { readonly kind: "columns"; readonly facets: Readonly<Record<string, readonly string[]>> }
  /** Rows of a record become one list; all columns but those that move with every report. */
  | { readonly kind: "rows"; readonly facet: string; readonly columns?: readonly string[] }
  /** One column of all rows becomes a sorted list of texts. */
  | { readonly kind: "values"; readonly facet: string; readonly column: string };

/** How records of a kind are found. */
export interface KindTables {
  readonly kind: RecordKind;
  /** Its rows are the records; all other tables add to them. */
  readonly spine: SiteTable;
  readonly others: readonly SiteTable[];
  /** Numeric keys are read in ranges that never move; anything else is read whole. */
  readonly isInRanges: boolean;
}

/** SMS_R_System and SMS_R_User spell it so; some releases differ. */
export const SYSTEM_KEYS = ["ResourceId", "ResourceID"];

export const wmi = (name: string): ClassName => ({ route: "wmi", name });

/** Move with every report, whether or not anything else does, so no page may hold them. */
export const REPORT_COLUMNS: readonly string[] = ["TimeStamp", "RevisionID"];

/** Every column that a table's facets want; undefined where that is whatever the class has. */
export function wantedColumns({ content }: SiteTable): readonly string[] | undefined {
  switch (content.kind) {
    case "columns":
      return Object.values(content.facets).flat();
    case "values":
      return [content.column];
    case "rows":
      return content.columns;
  }
}

/**
 * Whether the records of a spine can be told without a table: not one that shares facets with it, since those would be told without what it has,
 * nor memberships where only members of some collections are asked for.
 */
export function mayDoWithout(spine: SiteTable, table: SiteTable, isScoped: boolean): boolean {
  if (table.isRequired || table.id === spine.id) return false;
  if (isScoped && table.content.kind === "values") return false;
  const shared = new Set(facetsOf(spine));
  return !facetsOf(table).some((facet) => shared.has(facet));
}

export function facetsOf({ content }: SiteTable): readonly string[] {
  return content.kind === "columns" ? Object.keys(content.facets) : [content.facet];
}
