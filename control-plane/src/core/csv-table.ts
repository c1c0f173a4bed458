import { csvLine } from "./csv.ts";

/** Tables of CSV whose rows come from elsewhere, so that their number and their columns are whatever somebody made up. */

/** Own limit: columns of a table that names none; what else a row has stands together in `OTHER`. */
export const MAX_COLUMNS = 500;
/** A column for what the first page of rows did not have. */
export const OTHER = "otherColumns";

export type ExportedRow = Readonly<Record<string, unknown>>;

/** `first`, then what the rows have, as far as there is room. */
export function columnsOf(
  first: readonly string[],
  rows: Iterable<ExportedRow>,
): readonly string[] {
  const columns = new Set(first);
  for (const row of rows) {
    for (const name of Object.keys(row)) {
      if (columns.size >= MAX_COLUMNS) return [...columns, OTHER];
      columns.add(name);
    }
  }
  return [...columns, OTHER];
}

export function csvLines(rows: readonly ExportedRow[], columns: readonly string[]): string {
  const known = new Set(columns);
  return rows.map((row) => csvLine(cellsOf(row, columns, known))).join("");
}

function cellsOf(row: ExportedRow, columns: readonly string[], known: ReadonlySet<string>) {
  return columns.map((column) => {
    if (column === OTHER) return otherOf(row, known);
    return Object.hasOwn(row, column) ? row[column] : null;
  });
}

function otherOf(row: ExportedRow, known: ReadonlySet<string>): unknown {
  const others = Object.entries(row).filter(([name]) => !known.has(name));
  return others.length === 0 ? null : Object.fromEntries(others);
}

/** Some at a time, so that a long table is never one text. */
export function* inPieces<T>(all: Iterable<T>, limit: number): Generator<readonly T[]> {
  let piece: T[] = [];
  for (const each of all) {
    piece.push(each);
    if (piece.length < limit) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}
