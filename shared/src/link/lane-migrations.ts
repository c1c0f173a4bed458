import type { Migration } from "../store/transaction.ts";

/** Tables of a connector's end of the link. Times are ms since the epoch, JSON is text. */
export const laneMigrations: readonly Migration[] = [
  {
    id: "lane-1-streams",
    sql: `
      CREATE TABLE stream (
        name TEXT PRIMARY KEY,
        -- The highest seq given, and the last one that the control plane has stored.
        last_seq INTEGER NOT NULL DEFAULT 0,
        acked_seq INTEGER NOT NULL DEFAULT 0,
        -- Entries that have no seq yet.
        unsequenced INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      CREATE TABLE stream_entry (
        position INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        at INTEGER NOT NULL,
        -- Given when the entry is sent for the first time.
        seq INTEGER,
        entry TEXT NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX stream_entry_by_seq ON stream_entry (stream, seq) WHERE seq IS NOT NULL;
      CREATE INDEX stream_entry_unsequenced ON stream_entry (stream, position) WHERE seq IS NULL;
      -- Up to where a stream was acknowledged by the end of each hour: what its retention counts from.
      CREATE TABLE stream_ack (
        stream TEXT NOT NULL,
        hour INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (stream, hour)
      ) STRICT;
      CREATE TABLE stream_rejected (
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        code TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (stream, seq)
      ) STRICT;
    `,
  },
  {
    id: "lane-2-commands",
    sql: `
      CREATE TABLE command_lane (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        epoch INTEGER NOT NULL DEFAULT 0,
        -- The highest seq seen; up to where none is missing; up to where ids may have been forgotten.
        highest_seq INTEGER NOT NULL DEFAULT 0,
        contiguous_seq INTEGER NOT NULL DEFAULT 0,
        floor_seq INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      INSERT INTO command_lane (one) VALUES (1);
      CREATE TABLE command_inbox (
        id TEXT PRIMARY KEY,
        -- NULL for one that was cancelled before it came.
        seq INTEGER,
        kind TEXT NOT NULL,
        -- JSON of the signed command.
        command TEXT NOT NULL,
        state TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        not_before INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        approved_at INTEGER,
        ended_at INTEGER,
        -- JSON of the result as it goes up, where it stands in the journal, and when it was last put there.
        result TEXT,
        result_position INTEGER,
        reported_at INTEGER
      ) STRICT;
      CREATE INDEX command_inbox_by_seq ON command_inbox (seq);
      CREATE INDEX command_inbox_open ON command_inbox (seq) WHERE state IN ('accepted', 'running');
      CREATE INDEX command_inbox_ended ON command_inbox (expires_at)
        WHERE state NOT IN ('accepted', 'running');
    `,
  },
  {
    id: "lane-3-packed",
    sql: `
      -- An entry that is long goes into the journal as it goes onto the line: zstd of the text, which then is empty, and the text's octets.
      -- The octets stand in front, to be read without what is long.
      ALTER TABLE stream_entry ADD COLUMN raw_bytes INTEGER;
      ALTER TABLE stream_entry ADD COLUMN packed BLOB;
    `,
  },
  {
    id: "lane-4-packed-apart",
    sql: `
      -- What is long stands by itself, so that it is not written once more when its entry is given a seq.
      CREATE TABLE packed_entry (
        position INTEGER PRIMARY KEY REFERENCES stream_entry (position) ON DELETE CASCADE,
        bytes BLOB NOT NULL
      ) STRICT;
      INSERT INTO packed_entry (position, bytes)
        SELECT position, packed FROM stream_entry WHERE packed IS NOT NULL;
      ALTER TABLE stream_entry DROP COLUMN packed;
    `,
  },
];
