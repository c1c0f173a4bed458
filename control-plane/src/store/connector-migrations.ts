import type { Migration } from "@isthmus/shared/store/transaction";

/**
 * Tables of the control plane's end of the link: who the connectors are, what they are to do, what they reported. Times are
 * ms since the epoch, JSON is text.
 */
export const connectorMigrations: readonly Migration[] = [
  {
    id: "connector-1-identity",
    sql: `
      CREATE TABLE connector (
        id TEXT PRIMARY KEY,
        service TEXT NOT NULL,
        display_name TEXT NOT NULL,
        public_key_x TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        quarantined_at INTEGER,
        quarantine_reason TEXT,
        disabled_at INTEGER,
        boot_id TEXT,
        epoch INTEGER NOT NULL DEFAULT 0,
        session_no INTEGER NOT NULL DEFAULT 0,
        -- Since when the present session runs; NULL without one.
        connected_at INTEGER,
        last_seen_at INTEGER,
        clock_offset_ms INTEGER,
        -- The highest seq given to a command, handed to the connector, and known to be in its store.
        command_seq INTEGER NOT NULL DEFAULT 0,
        command_seq_sent INTEGER NOT NULL DEFAULT 0,
        command_seq_seen INTEGER NOT NULL DEFAULT 0,
        configuration_version_applied INTEGER NOT NULL DEFAULT 0,
        configuration_error TEXT
      ) STRICT;
      CREATE TABLE connector_boot (
        connector_id TEXT NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
        boot_id TEXT NOT NULL,
        last_session_no INTEGER NOT NULL,
        PRIMARY KEY (connector_id, boot_id)
      ) STRICT;
      CREATE TABLE enrolment_token (
        secret_hash TEXT PRIMARY KEY,
        service TEXT NOT NULL,
        display_name TEXT,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        used_at INTEGER,
        connector_id TEXT
      ) STRICT;
    `,
  },
  {
    id: "connector-2-down",
    sql: `
      CREATE TABLE command (
        id TEXT PRIMARY KEY,
        connector_id TEXT NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
        -- Given when the command is signed, so that one ended before that leaves no hole.
        seq INTEGER,
        kind TEXT NOT NULL,
        -- JSON of the payload.
        body TEXT NOT NULL,
        supersedes TEXT NOT NULL DEFAULT '[]',
        approvals TEXT NOT NULL DEFAULT '[]',
        jws TEXT,
        state TEXT NOT NULL,
        actor TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        not_before INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        state_at INTEGER NOT NULL,
        result TEXT,
        error TEXT
      ) STRICT;
      CREATE UNIQUE INDEX command_by_seq ON command (connector_id, seq) WHERE seq IS NOT NULL;
      CREATE INDEX command_unsigned ON command (created_at)
        WHERE jws IS NULL AND (state = 'queued' OR seq IS NOT NULL);
      CREATE INDEX command_open ON command (connector_id, seq)
        WHERE state IN ('queued', 'sent', 'accepted', 'running');
      CREATE TABLE desired_configuration (
        connector_id TEXT NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
        version INTEGER NOT NULL,
        body TEXT NOT NULL,
        jws TEXT,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (connector_id, version)
      ) STRICT;
    `,
  },
  {
    id: "connector-3-up",
    sql: `
      CREATE TABLE stream_cursor (
        connector_id TEXT NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (connector_id, stream)
      ) STRICT;
      CREATE TABLE dead_letter (
        connector_id TEXT NOT NULL,
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        code TEXT NOT NULL,
        bytes BLOB NOT NULL,
        at INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX dead_letter_by_connector ON dead_letter (connector_id, stream, seq);
      CREATE TABLE issued_certificate (
        serial_number TEXT NOT NULL,
        issuer TEXT NOT NULL,
        connector_id TEXT NOT NULL,
        transaction_id TEXT NOT NULL,
        profile_id TEXT,
        device_id TEXT,
        user_principal_name TEXT,
        subject TEXT,
        not_before INTEGER,
        not_after INTEGER,
        thumbprint TEXT,
        issued_at INTEGER,
        revoked_at INTEGER,
        revocation_reason TEXT,
        PRIMARY KEY (serial_number, issuer)
      ) STRICT;
      CREATE INDEX issued_certificate_by_device ON issued_certificate (device_id);
      CREATE INDEX issued_certificate_by_time ON issued_certificate (issued_at);
      CREATE TABLE issuance_failure (
        connector_id TEXT NOT NULL,
        transaction_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        profile_id TEXT,
        device_id TEXT,
        user_principal_name TEXT,
        code TEXT NOT NULL,
        message TEXT NOT NULL,
        PRIMARY KEY (connector_id, transaction_id, at)
      ) STRICT;
      -- A restored connector grows a second branch from an older index: both stay, told apart by hash.
      CREATE TABLE audit_entry (
        connector_id TEXT NOT NULL,
        idx INTEGER NOT NULL,
        hash TEXT NOT NULL,
        previous_hash TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        at INTEGER NOT NULL,
        event TEXT NOT NULL,
        payload_hash TEXT NOT NULL,
        payload TEXT,
        PRIMARY KEY (connector_id, idx, hash)
      ) STRICT;
      CREATE INDEX audit_entry_by_time ON audit_entry (at);
      CREATE TABLE audit_head (
        connector_id TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        idx INTEGER NOT NULL,
        hash TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        jws TEXT NOT NULL,
        PRIMARY KEY (connector_id, epoch, idx)
      ) STRICT;
      CREATE TABLE connector_health (
        connector_id TEXT PRIMARY KEY,
        snapshot TEXT NOT NULL,
        digest TEXT NOT NULL,
        received_at INTEGER NOT NULL
      ) STRICT;
      -- What a person should know of a connector that it did not say itself: quarantine, restored state, forks.
      CREATE TABLE connector_event (
        connector_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        event TEXT NOT NULL,
        detail TEXT NOT NULL
      ) STRICT;
      CREATE INDEX connector_event_by_connector ON connector_event (connector_id, at);
    `,
  },
  {
    id: "connector-4-age",
    sql: `
      CREATE INDEX issuance_failure_by_time ON issuance_failure (at);
      CREATE INDEX dead_letter_by_time ON dead_letter (at);
    `,
  },
  {
    id: "connector-5-waits",
    sql: `
      -- JSON: what a command that the connector has waits for, until it runs or ends.
      ALTER TABLE command ADD COLUMN waits_for TEXT;
    `,
  },
];
