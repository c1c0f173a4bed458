import type { Migration } from "@isthmus/shared/store/transaction";

/**
 * What administrators asked of devices at a source, how each device fares, and what queries brought. Times are ms since the epoch by our
 * clock, JSON is text, booleans are 0 or 1.
 */
export const actionMigrations: readonly Migration[] = [
  {
    id: "action-1",
    sql: `
      CREATE TABLE site_action (
        -- A random GUID: the id in the API, and the same whichever command carries it.
        id TEXT PRIMARY KEY,
        source_id INTEGER NOT NULL REFERENCES inventory_source (id) ON DELETE CASCADE,
        -- The command that carries it now: another one where the lease moved before the first was delivered.
        command_id TEXT NOT NULL UNIQUE,
        connector_id TEXT NOT NULL,
        -- Kind of the command, and what it does: refreshMachinePolicy, install, runScript, runQuery ...
        kind TEXT NOT NULL,
        action TEXT NOT NULL,
        -- What it is done with: a script's GUID, an application's id, the text of a query; NULL for a notification.
        subject TEXT,
        -- JSON: ResourceIDs, or a collection that the bridge resolves.
        target TEXT NOT NULL,
        -- The device's record, where one device alone was named.
        record_id INTEGER REFERENCES inventory_record (id) ON DELETE SET NULL,
        -- JSON of what else was said, without values that may be secret.
        details TEXT NOT NULL,
        actor TEXT NOT NULL,
        requested_at INTEGER NOT NULL,
        -- Until when a device may take it up.
        expires_at INTEGER NOT NULL,
        -- SITE_ACTION_STATES of core/site-action.ts.
        state TEXT NOT NULL,
        state_at INTEGER NOT NULL,
        ended_at INTEGER,
        reason TEXT,
        -- As the site numbers the operation, and to how many devices it went; NULL until the bridge says.
        operation_id INTEGER,
        expected_devices INTEGER,
        -- When anything was last heard of it.
        heard_at INTEGER NOT NULL,
        rows_kept INTEGER NOT NULL DEFAULT 0,
        -- What rows and output take; -1 once these were thrown away.
        result_bytes INTEGER NOT NULL DEFAULT 0,
        -- Whether devices or rows over our own limits were left out, or a client cut its answer.
        is_truncated INTEGER NOT NULL DEFAULT 0,
        -- Idempotency-Key of who asked, and SHA-256 of what was asked under it.
        request_key TEXT,
        request_hash TEXT NOT NULL
      ) STRICT;
      CREATE INDEX site_action_by_source ON site_action (source_id, requested_at);
      CREATE INDEX site_action_by_time ON site_action (requested_at);
      CREATE INDEX site_action_open ON site_action (expires_at) WHERE ended_at IS NULL;
      CREATE INDEX site_action_by_end ON site_action (ended_at) WHERE ended_at IS NOT NULL;
      CREATE INDEX site_action_with_results ON site_action (ended_at) WHERE result_bytes > 0;
      CREATE UNIQUE INDEX site_action_by_request ON site_action (actor, request_key) WHERE request_key IS NOT NULL;
      CREATE INDEX site_action_keyed ON site_action (requested_at) WHERE request_key IS NOT NULL;

      -- How an action fares on a device: one row for each device that it reaches.
      CREATE TABLE device_action (
        action_id TEXT NOT NULL REFERENCES site_action (id) ON DELETE CASCADE,
        -- ResourceID; the record may be unknown here where a collection was named.
        key TEXT NOT NULL,
        record_id INTEGER REFERENCES inventory_record (id) ON DELETE SET NULL,
        -- DEVICE_ACTION_STATES of the link.
        state TEXT NOT NULL,
        state_at INTEGER NOT NULL,
        -- When it was asked for: of all devices of an action the same, here for the index.
        requested_at INTEGER NOT NULL,
        error_code INTEGER,
        reason TEXT,
        exit_code INTEGER,
        -- Of a script.
        output TEXT,
        -- Rows of a query, and whether the client or we cut them.
        rows_kept INTEGER NOT NULL DEFAULT 0,
        is_truncated INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (action_id, key)
      ) STRICT, WITHOUT ROWID;
      -- Counted after each entry, from the index alone: rows hold output of scripts.
      CREATE INDEX device_action_by_state ON device_action (action_id, state);
      CREATE INDEX device_action_by_record ON device_action (record_id, requested_at) WHERE record_id IS NOT NULL;

      -- Rows that a query brought, numbered in the order in which they came.
      CREATE TABLE query_row (
        action_id TEXT NOT NULL REFERENCES site_action (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        key TEXT NOT NULL,
        -- JSON of one row.
        value TEXT NOT NULL,
        PRIMARY KEY (action_id, number)
      ) STRICT, WITHOUT ROWID;

      -- Recovery keys on their way to who asked, sealed to a key that only they have. Gone once read, or after a short time.
      CREATE TABLE recovery_key_reveal (
        action_id TEXT PRIMARY KEY REFERENCES site_action (id) ON DELETE CASCADE,
        -- X25519, raw, base64url: only who asked has the other half.
        public_key TEXT NOT NULL,
        sealed TEXT,
        received_at INTEGER
      ) STRICT;
      CREATE INDEX recovery_key_reveal_by_time ON recovery_key_reveal (received_at) WHERE sealed IS NOT NULL;

      -- What Graph calls deviceActionResults: of each device and action name the newest.
      CREATE VIEW device_action_result AS
        SELECT d.record_id, a.action AS action_name, a.kind, a.id AS action_id,
          CASE d.state WHEN 'queued' THEN 'pending' WHEN 'sent' THEN 'pending' WHEN 'running' THEN 'active'
            WHEN 'succeeded' THEN 'done' WHEN 'cancelled' THEN 'canceled' WHEN 'notApplicable' THEN 'notSupported'
            ELSE 'failed' END AS action_state,
          CASE WHEN a.state = 'refused' THEN 'failedToDeliverToConnectorService'
            WHEN d.state IN ('running', 'succeeded', 'failed', 'notApplicable') OR a.operation_id IS NOT NULL
              THEN 'deliveredToOnPremisesServer'
            WHEN a.state = 'queued' THEN 'pendingDelivery'
            WHEN a.state IN ('failed', 'expired', 'cancelled') THEN 'failedToDeliverToConnectorService'
            WHEN a.state = 'unknown' THEN 'unknown'
            ELSE 'deliveredToConnectorService' END AS action_delivery_status,
          d.requested_at AS started_at, d.state_at AS updated_at, d.error_code, d.state, d.reason
        FROM device_action d JOIN site_action a ON a.id = d.action_id
        WHERE d.record_id IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM device_action e JOIN site_action b ON b.id = e.action_id
          WHERE e.record_id = d.record_id AND b.action = a.action
            AND (e.requested_at > d.requested_at OR (e.requested_at = d.requested_at AND e.action_id > d.action_id)));
    `,
  },
  {
    id: "action-2-counts",
    sql: `
      -- JSON, by the number of the site's operation: how many devices are in which state, where the site does not say which.
      ALTER TABLE site_action ADD COLUMN site_counts TEXT;
    `,
  },
];
