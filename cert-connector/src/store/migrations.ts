import type { Migration } from "@isthmus/shared/store/transaction";

/**
 * The ledger's tables. `is_current` is 1 for the newest enrolment of a (profile, transaction, request): one whose
 * certificate expired makes room for the same request again, and stays as history.
 */
export const ledgerMigrations: readonly Migration[] = [
  {
    id: "ledger-1",
    sql: `
      CREATE TABLE enrolment (
        id INTEGER PRIMARY KEY,
        profile_id TEXT NOT NULL,
        transaction_id TEXT NOT NULL,
        request_hash BLOB NOT NULL,
        is_current INTEGER NOT NULL DEFAULT 1,
        front_door TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'rejected', 'intent', 'refused', 'issued')),
        requester_key_hash BLOB NOT NULL,
        subject TEXT NOT NULL,
        device_id TEXT,
        grant_json TEXT NOT NULL,
        renews_serial_number TEXT,
        requested_at INTEGER NOT NULL,
        certification_request BLOB,
        decided_by TEXT,
        authority TEXT,
        issuer_key_id TEXT,
        issuer TEXT,
        serial_number TEXT,
        tbs BLOB,
        intent_at INTEGER,
        planned_serial_number TEXT,
        asked_at INTEGER,
        asked_until INTEGER,
        authority_reference TEXT,
        certificate BLOB,
        thumbprint TEXT,
        not_before INTEGER,
        not_after INTEGER,
        issued_at INTEGER,
        revoked_at INTEGER,
        revocation_reason TEXT
      ) STRICT;
      CREATE UNIQUE INDEX enrolment_by_request
        ON enrolment (transaction_id, request_hash, profile_id) WHERE is_current = 1;
      CREATE UNIQUE INDEX enrolment_by_serial_number
        ON enrolment (serial_number, issuer_key_id) WHERE serial_number IS NOT NULL;
      CREATE UNIQUE INDEX enrolment_by_planned_serial_number
        ON enrolment (planned_serial_number) WHERE planned_serial_number IS NOT NULL;
      CREATE INDEX enrolment_unfinished ON enrolment (state, id) WHERE state IN ('pending', 'intent');
      CREATE INDEX enrolment_revoked
        ON enrolment (issuer_key_id, not_after) WHERE revoked_at IS NOT NULL;
      CREATE INDEX enrolment_by_device ON enrolment (device_id, id) WHERE device_id IS NOT NULL;

      CREATE TABLE challenge (
        id TEXT PRIMARY KEY,
        request_hash BLOB NOT NULL,
        enrolment_id INTEGER NOT NULL REFERENCES enrolment (id),
        expires_at INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX challenge_by_expiry ON challenge (expires_at);

      CREATE TABLE profile_rate (
        profile_id TEXT NOT NULL,
        minute INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (profile_id, minute)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE ledger_mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      INSERT INTO ledger_mark (name, value) VALUES ('last-issuance-at', 0);

      CREATE TABLE revocation_list (
        issuer_key_id TEXT PRIMARY KEY,
        last_number INTEGER NOT NULL,
        number INTEGER,
        this_update INTEGER,
        next_update INTEGER,
        der BLOB
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    id: "ledger-2",
    sql: `
      CREATE INDEX enrolment_by_renewed
        ON enrolment (renews_serial_number) WHERE renews_serial_number IS NOT NULL;
    `,
  },
];
