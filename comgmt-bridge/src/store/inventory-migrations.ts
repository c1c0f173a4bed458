import type { Migration } from "@isthmus/shared/store/transaction";

/** What the bridge knows of the sources' records: hashes, never values. Times are ms since the epoch. */
export const inventoryMigrations: readonly Migration[] = [
  {
    id: "bridge-inventory",
    sql: `
      CREATE TABLE source_state (
        source TEXT PRIMARY KEY,
        lease INTEGER NOT NULL,
        -- Of the last change that was told.
        revision INTEGER NOT NULL
      ) STRICT;
      -- A kind of a source.
      CREATE TABLE kind_state (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        kind TEXT NOT NULL,
        -- Of the link, when the scans below were counted: another one says that this state was restored.
        epoch INTEGER NOT NULL,
        complete_scans INTEGER NOT NULL DEFAULT 0,
        last_began_at INTEGER,
        last_ended_at INTEGER,
        last_digest_at INTEGER,
        -- Rows of record_state that are not suspected.
        records INTEGER NOT NULL DEFAULT 0,
        UNIQUE (source, kind)
      ) STRICT;
      CREATE TABLE facet_name (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
      ) STRICT;
      CREATE TABLE record_state (
        kind_id INTEGER NOT NULL,
        -- The key where it is a decimal number, else -1: ranges are ranges of it.
        number INTEGER NOT NULL,
        key TEXT NOT NULL,
        -- As facet-states.ts packs them.
        facets TEXT NOT NULL,
        digest TEXT NOT NULL,
        bucket INTEGER NOT NULL,
        -- Complete scans that had ended when it was first found missing, and when it last was; NULL while it is there.
        missed_after INTEGER,
        missed_at INTEGER,
        -- The control plane has it, and no reading has found it yet.
        is_suspected INTEGER NOT NULL DEFAULT 0,
        -- The control plane has to be told all of it again.
        is_wanted INTEGER NOT NULL DEFAULT 0,
        -- Its deletion waits for an approval; who gave it.
        waits INTEGER NOT NULL DEFAULT 0,
        approved_by TEXT,
        PRIMARY KEY (kind_id, number, key)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX record_state_missing ON record_state (kind_id, missed_after)
        WHERE missed_after IS NOT NULL;
      CREATE INDEX record_state_suspected ON record_state (kind_id) WHERE is_suspected = 1;
      -- JSON of the hashes of the pages that a range came in. Ranges of a kind do not overlap.
      CREATE TABLE range_page (
        kind_id INTEGER NOT NULL,
        after INTEGER NOT NULL,
        through INTEGER NOT NULL,
        pages TEXT NOT NULL,
        PRIMARY KEY (kind_id, after)
      ) STRICT, WITHOUT ROWID;
      -- What was told to be left out, so that it is told once.
      CREATE TABLE refusal (
        kind_id INTEGER NOT NULL,
        subject TEXT NOT NULL,
        code TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (kind_id, subject, code)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    id: "inventory-2-waiting-since",
    sql: `
      -- Since when its deletion waits, while it does (waits = 1); NULL for what waited before this was kept.
      ALTER TABLE record_state ADD COLUMN waits_since INTEGER;
    `,
  },
];
