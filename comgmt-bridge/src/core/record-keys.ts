import type { RecordKind } from "@isthmus/shared/link/inventory-messages";

/** As the site gives it. */
type Row = Readonly<Record<string, unknown>>;

/** `ScopeId_.../Application_<guid>/<revision>`: the numeric key is that of a revision, the GUID stays. */
const APPLICATION = /\/Application_([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})/;

/** The key of a record where that is not the key of its rows; a row that has none is no record. Undefined for other kinds. */
export function recordKeyOf(kind: RecordKind): ((row: Row) => string | undefined) | undefined {
  return kind === "application" ? applicationGuid : undefined;
}

function applicationGuid(row: Row): string | undefined {
  const text = row["ModelName"] ?? row["CI_UniqueID"];
  return typeof text === "string" ? APPLICATION.exec(text)?.[1]?.toLowerCase() : undefined;
}
