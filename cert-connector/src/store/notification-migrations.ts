import type { Migration } from "@isthmus/shared/store/transaction";

/**
 * The outbox. `planned`: its enrolment has no certificate yet. `enrolment.notification_id` stands until the notification
 * was accepted: so long the device does not get the certificate.
 */
export const notificationMigrations: readonly Migration[] = [
  {
    id: "notification-1",
    sql: `
      CREATE TABLE notification (
        id INTEGER PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('planned', 'waiting', 'accepted', 'refused')),
        event TEXT NOT NULL CHECK (event IN ('success', 'failure')),
        target_kind TEXT NOT NULL,
        target_name TEXT NOT NULL,
        transaction_id TEXT NOT NULL,
        payload_json TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        epoch INTEGER NOT NULL DEFAULT 0,
        owner TEXT,
        claimed_until INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        next_at INTEGER NOT NULL,
        ended_at INTEGER,
        last_code TEXT,
        last_message TEXT
      ) STRICT;
      CREATE INDEX notification_due ON notification (state, next_at) WHERE state = 'waiting';
      CREATE INDEX notification_open ON notification (state) WHERE state IN ('planned', 'waiting');
      CREATE INDEX notification_ended ON notification (ended_at) WHERE ended_at IS NOT NULL;
      CREATE INDEX notification_by_transaction ON notification (transaction_id);
      ALTER TABLE enrolment ADD COLUMN notification_id INTEGER;
      CREATE INDEX enrolment_by_notification
        ON enrolment (notification_id) WHERE notification_id IS NOT NULL;
    `,
  },
];
