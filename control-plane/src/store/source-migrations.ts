import type { Migration } from "@isthmus/shared/store/transaction";

/** What is kept of sources beyond `inventory-migrations.ts`. */
export const sourceMigrations: readonly Migration[] = [
  {
    id: "source-1-event-keys",
    sql: `
      -- JSON: keys of the records that the event is about, the first of them; NULL where it names none.
      ALTER TABLE inventory_event ADD COLUMN keys TEXT;
    `,
  },
  {
    id: "source-2-quota",
    sql: `
      -- What a source takes: as it was last counted, and what came since, records exactly and octets by an estimate that is never too low.
      CREATE TABLE inventory_usage (
        source_id INTEGER PRIMARY KEY REFERENCES inventory_source (id) ON DELETE CASCADE,
        records INTEGER NOT NULL DEFAULT 0,
        octets INTEGER NOT NULL DEFAULT 0,
        added_records INTEGER NOT NULL DEFAULT 0,
        added_octets INTEGER NOT NULL DEFAULT 0,
        -- Records and other entries that were refused for want of room.
        refused INTEGER NOT NULL DEFAULT 0,
        -- Since when there is no room, by our clock; NULL while there is.
        over_since INTEGER
      ) STRICT;
      -- Limits of a source by its name, of all others under the empty name. Written at each start from the configuration.
      CREATE TABLE inventory_quota (
        source TEXT PRIMARY KEY,
        records INTEGER NOT NULL,
        octets INTEGER NOT NULL
      ) STRICT;
      INSERT INTO inventory_usage (source_id, records)
        SELECT source_id, count(*) FROM inventory_record GROUP BY source_id;
    `,
  },
];
