import type { Migration } from "@isthmus/shared/store/transaction";

/** What joins administrators' devices with those that sources tell of. */
export const coManagementMigrations: readonly Migration[] = [
  {
    id: "co-management-1-links",
    sql: `
      -- The device's id in Entra as an administrator gave it, and the record that an administrator named.
      ALTER TABLE managed_device ADD COLUMN entra_device_id TEXT COLLATE NOCASE;
      ALTER TABLE managed_device ADD COLUMN record_id INTEGER REFERENCES inventory_record (id) ON DELETE SET NULL;
      -- What records are found by where none is named: many organisations name devices by that id.
      ALTER TABLE managed_device ADD COLUMN link_key TEXT COLLATE NOCASE
        GENERATED ALWAYS AS (CASE WHEN record_id IS NULL AND removed_at IS NULL THEN coalesce(entra_device_id, id) END) VIRTUAL;
      CREATE INDEX managed_device_by_record ON managed_device (record_id) WHERE record_id IS NOT NULL;
      CREATE INDEX managed_device_by_link ON managed_device (link_key) WHERE link_key IS NOT NULL;
    `,
  },
];
