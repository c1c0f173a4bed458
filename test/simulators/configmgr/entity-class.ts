import type { Device } from "./device.ts";

export type EdmType =
  | "Edm.Int32"
  | "Edm.Int64"
  | "Edm.String"
  | "Edm.Boolean"
  | "Edm.DateTimeOffset"
  | "Collection(Edm.String)"
  | "Collection(Edm.DateTimeOffset)"
  | "Complex";

/** A property of a class. Dates are milliseconds since the Unix epoch. */
export interface Column<Row> {
  readonly name: string;
  readonly type: EdmType;
  /** One that takes no row gives the same for all rows. */
  readonly get: (row: Row) => unknown;
  /** Given only to who asks by key. */
  readonly isLazy?: boolean;
}

/** Ids of `key`, both ends included; a query looks at none that are in no range. */
export interface KeyRange {
  readonly min: number;
  readonly max: number;
}

/** What the service answers for one name below a route. */
export interface EntityClass<Row = unknown> {
  readonly name: string;
  readonly route: "v1.0" | "wmi";
  /** First of them is what rows are ordered by. */
  readonly keys: readonly string[];
  readonly columns: readonly Column<Row>[];
  /** In the order of the first key; a range is of that key where it is a number. */
  readonly rows: (ranges: readonly KeyRange[]) => Iterable<Row>;
  /** Where rows are about a device: who may not see the device does not see the row. */
  readonly deviceOf?: (row: Row) => Device | undefined;
  readonly byKey?: (key: string) => Row | undefined;
}

export const EVERYTHING: readonly KeyRange[] = [{ min: -Infinity, max: Infinity }];

/** Column makers, named after the types. */
export function text<Row>(name: string, get: (row: Row) => string | null): Column<Row> {
  return { name, type: "Edm.String", get };
}
export function int<Row>(name: string, get: (row: Row) => number | null): Column<Row> {
  return { name, type: "Edm.Int32", get };
}
export function flag<Row>(name: string, get: (row: Row) => boolean | null): Column<Row> {
  return { name, type: "Edm.Boolean", get };
}
export function date<Row>(name: string, get: (row: Row) => number | null): Column<Row> {
  return { name, type: "Edm.DateTimeOffset", get };
}
export function texts<Row>(name: string, get: (row: Row) => readonly string[]): Column<Row> {
  return { name, type: "Collection(Edm.String)", get };
}
export function complex<Row>(name: string, get: (row: Row) => unknown): Column<Row> {
  return { name, type: "Complex", get };
}
export function lazy<Row>(column: Column<Row>): Column<Row> {
  return { ...column, isLazy: true };
}

/** A class of the WMI route gives its properties by name in alphabetical order. */
export function alphabetical<Row>(columns: readonly Column<Row>[]): Column<Row>[] {
  return [...columns].sort((a, b) => (a.name < b.name ? -1 : 1));
}
