import type { RecordKind } from "@isthmus/shared/link/inventory-messages";

/** As the site gives it. */
type Row = Readonly<Record<string, unknown>>;

/** `ScopeId_.../Application_<guid>/<revision>`: the numeric key is that of a revision, the GUID stays. */
const APPLICATION = /\/Application_([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})/;

/** How records are called where that is not the key of their rows. Rows without a name are no records. */
export function recordNameOf(kind: RecordKind): ((row: Row) => string | undefined) | undefined {
  return kind === "application" ? applicationGuid : undefined;
}

function applicationGuid(row: Row): string | undefined {
  const text = row["ModelName"] ?? row["CI_UniqueID"];
  return typeof text === "string" ? APPLICATION.exec(text)?.[1]?.toLowerCase() : undefined;
}
