import type { Migration } from "@isthmus/shared/store/transaction";

export const actionMigrations: readonly Migration[] = [
  {
    id: "bridge-actions-1",
    sql: `
      CREATE TABLE site_action (
        id TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        plan TEXT NOT NULL,
        count INTEGER NOT NULL,
        at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        ended_at INTEGER
      ) STRICT;
      CREATE INDEX site_action_open ON site_action (at) WHERE ended_at IS NULL;
      CREATE TABLE site_action_request (
        action_id TEXT NOT NULL,
        n INTEGER NOT NULL,
        state TEXT NOT NULL,
        digest TEXT NOT NULL,
        intended_at INTEGER NOT NULL,
        operation_id INTEGER,
        taken_at INTEGER,
        PRIMARY KEY (action_id, n)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX site_action_request_operation ON site_action_request (operation_id)
        WHERE operation_id IS NOT NULL;
      CREATE TABLE site_action_device (
        action_id TEXT NOT NULL,
        resource_id INTEGER NOT NULL,
        state TEXT NOT NULL,
        request INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        PRIMARY KEY (action_id, resource_id)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    id: "bridge-actions-2",
    sql: `
      -- When an operation was asked for, as the site told at the first look: a number that is given again has another time.
      ALTER TABLE site_action_request ADD COLUMN requested_time TEXT;
    `,
  },
];
