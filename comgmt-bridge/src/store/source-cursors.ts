import { ConnectorError } from "@isthmus/shared/errors";
import type { Migration, Operations, Transaction } from "@isthmus/shared/store/transaction";
import type { InventoryState } from "../core/inventory-state.ts";

/** Own limits: a DirSync cookie grows with the number of the domain's controllers. */
const MAX_CURSOR_CHARACTERS = 262_144;
const MAX_CURSORS_OF_SOURCE = 100;

type ArgumentOf<Name extends keyof InventoryState> = Parameters<InventoryState[Name]>[0];

export const cursorMigrations: readonly Migration[] = [
  {
    id: "bridge-cursors",
    sql: `
      CREATE TABLE source_cursor (
        source TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (source, name)
      ) STRICT;
    `,
  },
];

/** What sources write down for their next run: stamps, cookies, how far a scan came. */
export const cursorOperations = {
  cursorOf(transaction: Transaction, { source, name }: ArgumentOf<"cursorOf">) {
    const row = transaction.get(
      "SELECT value FROM source_cursor WHERE source = ? AND name = ?",
      source,
      name,
    );
    return row === undefined ? undefined : String(row["value"]);
  },
  keepCursor(transaction: Transaction, { source, name, value }: ArgumentOf<"keepCursor">) {
    if (value.length > MAX_CURSOR_CHARACTERS) {
      throw new ConnectorError(
        "cursor-too-large",
        `the cursor ${name} of ${source} has ${value.length} characters, at most ${MAX_CURSOR_CHARACTERS} are kept`,
      );
    }
    const { changes } = transaction.run(
      "UPDATE source_cursor SET value = ? WHERE source = ? AND name = ?",
      value,
      source,
      name,
    );
    if (changes > 0) return;
    const row = transaction.get(
      "SELECT count(*) AS count FROM source_cursor WHERE source = ?",
      source,
    );
    if (Number(row?.["count"]) >= MAX_CURSORS_OF_SOURCE) {
      throw new ConnectorError(
        "cursor-too-many",
        `${source} has ${MAX_CURSORS_OF_SOURCE} cursors already`,
      );
    }
    transaction.run("INSERT INTO source_cursor VALUES (?, ?, ?)", source, name, value);
  },
} satisfies Operations;
