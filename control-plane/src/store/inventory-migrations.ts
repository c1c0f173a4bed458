import type { Migration } from "@isthmus/shared/store/transaction";

/**
 * The organisation's inventory as bridges tell it. Times are ms since the epoch, JSON is text, booleans are 0 or 1. What a bridge says
 * of a time is by its clock (`at`, `until`, `first_seen_at`, `changed_at`, `deleted_at`); what is kept for so and so long goes by ours.
 */
export const inventoryMigrations: readonly Migration[] = [
  {
    id: "inventory-1-records",
    sql: `
      -- One system that is read: a site, a domain, the inventory documents of agents. It belongs to no connector: who reads it is a lease.
      CREATE TABLE inventory_source (
        id INTEGER PRIMARY KEY,
        -- As the source spells itself: CM1, ad.corp.example, agents.
        name TEXT NOT NULL UNIQUE,
        -- configmgr, active-directory, agents.
        type TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        -- Who reads it, or did last; NULL where nobody ever did.
        connector_id TEXT REFERENCES connector (id) ON DELETE SET NULL,
        -- Number of the lease in force: what carries another is not applied.
        lease INTEGER NOT NULL DEFAULT 0,
        -- By our clock; over it the source is free. NULL where the holder gave it up.
        lease_until INTEGER,
        -- The link epoch that the holder had when it got this number.
        lease_epoch INTEGER NOT NULL DEFAULT 0,
        -- The highest revision that is stored; the next holder counts on above it.
        revision INTEGER NOT NULL DEFAULT 0,
        -- When an entry was last taken, by our clock.
        last_entry_at INTEGER,
        -- Entries under another lease, or from who holds none, that were passed over.
        passed_over INTEGER NOT NULL DEFAULT 0,
        -- Records that were refused (a hash that is not that of the value).
        refused INTEGER NOT NULL DEFAULT 0
      ) STRICT;

      -- A device, user, collection ... of a source. Whoever lists them leaves those with deleted_at out.
      CREATE TABLE inventory_record (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        source_id INTEGER NOT NULL REFERENCES inventory_source (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        -- ResourceID in decimal, CollectionID, GUID, SID: unique within source and kind, never a name.
        key TEXT NOT NULL,
        -- Of the last change that was applied; an older one is passed over.
        revision INTEGER NOT NULL,
        -- 16 hex digits over key and hashes of all facets but volatile; its bucket of 4096.
        digest TEXT NOT NULL,
        bucket INTEGER NOT NULL,
        first_seen_at INTEGER NOT NULL,
        -- When a facet other than volatile last changed.
        changed_at INTEGER NOT NULL,
        -- When it went; it keeps its row, columns and history as long as history is kept. NULL while it is there.
        deleted_at INTEGER,

        -- What lists filter and sort by, taken out of identity, stable and volatile whenever these change. NULL where the source says nothing.
        name TEXT COLLATE NOCASE,
        smsid TEXT COLLATE NOCASE,
        sid TEXT COLLATE NOCASE,
        entra_device_id TEXT COLLATE NOCASE,
        -- Intune's id of a device.
        managed_device_id TEXT COLLATE NOCASE,
        serial_number TEXT COLLATE NOCASE,
        domain TEXT COLLATE NOCASE,
        -- Of a device its primary user, of a user its own.
        user_principal_name TEXT COLLATE NOCASE,
        -- The family (Windows, macOS, Linux; operatingSystemFamily of core/co-management.ts) and what the source itself calls it.
        operating_system TEXT COLLATE NOCASE,
        os_description TEXT,
        os_version TEXT,
        manufacturer TEXT COLLATE NOCASE,
        model TEXT COLLATE NOCASE,
        client_version TEXT,
        is_co_managed INTEGER,
        is_online INTEGER,
        last_seen_at INTEGER,
        -- Of devices: coManagementOf of core/co-management.ts. CoManagementFlags stays whole, with the bits that nobody documented.
        management_agent TEXT,
        management_state TEXT,
        comanagement_status TEXT,
        co_management_flags INTEGER
      ) STRICT;
      CREATE UNIQUE INDEX inventory_record_by_key ON inventory_record (source_id, kind, key);
      -- Every index whose order is not that in which records come costs a page for each new record, and a first sync brings them by the
      -- hundred thousand: what is seldom asked for (a serial number, a user, a digest's bucket) is found by reading the rows.
      -- Pages by id and by name: kind = ? AND deleted_at IS NULL AND (name, id) > (?, ?) ORDER BY name, id. The id, which sorts as the id
      -- in the API does, ends each, so that a filter by the columns before it needs no sorting.
      CREATE INDEX inventory_record_by_kind ON inventory_record (kind) WHERE deleted_at IS NULL;
      CREATE INDEX inventory_record_by_name ON inventory_record (kind, name) WHERE deleted_at IS NULL;
      CREATE INDEX inventory_record_by_smsid ON inventory_record (smsid) WHERE smsid IS NOT NULL;
      CREATE INDEX inventory_record_by_sid ON inventory_record (sid) WHERE sid IS NOT NULL;
      CREATE INDEX inventory_record_by_entra_device ON inventory_record (entra_device_id) WHERE entra_device_id IS NOT NULL;
      CREATE INDEX inventory_record_by_managed_device ON inventory_record (managed_device_id)
        WHERE managed_device_id IS NOT NULL;
      CREATE INDEX inventory_record_by_agent ON inventory_record (kind, management_agent)
        WHERE deleted_at IS NULL AND management_agent IS NOT NULL;
      CREATE INDEX inventory_record_by_comanagement ON inventory_record (kind, comanagement_status)
        WHERE deleted_at IS NULL AND comanagement_status IS NOT NULL;
      CREATE INDEX inventory_record_deleted ON inventory_record (deleted_at) WHERE deleted_at IS NOT NULL;

      -- The facets that a record has now, in one row: ten rows of each record would cost a first sync several times as much. A deleted record
      -- has none: its facets are history.
      CREATE TABLE inventory_document (
        record_id INTEGER PRIMARY KEY REFERENCES inventory_record (id) ON DELETE CASCADE,
        -- JSON, by facet: [hash, revision, since when it has this value].
        states TEXT NOT NULL,
        -- JSON values of the facets of these names; NULL without one.
        volatile TEXT,
        identity TEXT,
        stable TEXT,
        -- JSON, by facet: the values of all others, inventory classes by their names.
        others TEXT
      ) STRICT;
      -- The same, a row for each facet. Names of facets need no escaping.
      CREATE VIEW inventory_facet AS
        SELECT d.record_id, s.key AS facet, s.value ->> 0 AS hash, s.value ->> 1 AS revision, s.value ->> 2 AS at,
          CASE s.key WHEN 'volatile' THEN d.volatile WHEN 'identity' THEN d.identity WHEN 'stable' THEN d.stable
            ELSE d.others -> ('$."' || s.key || '"') END AS value
        FROM inventory_document d CROSS JOIN json_each(d.states) s;

      -- Values that facets had, from at up to until. Of volatile there is at most one that ends in a day.
      CREATE TABLE inventory_history (
        record_id INTEGER NOT NULL REFERENCES inventory_record (id) ON DELETE CASCADE,
        facet TEXT NOT NULL,
        -- Under which the value came.
        revision INTEGER NOT NULL,
        at INTEGER NOT NULL,
        until INTEGER NOT NULL,
        hash TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (record_id, facet, revision)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX inventory_history_by_end ON inventory_history (until);

      -- Who is in which collection, out of the facet collections.
      CREATE TABLE inventory_membership (
        source_id INTEGER NOT NULL,
        -- CollectionID; the collection's own record may come later.
        collection_key TEXT NOT NULL,
        -- The collections of one record stand in its facet.
        record_id INTEGER NOT NULL,
        PRIMARY KEY (source_id, collection_key, record_id)
      ) STRICT, WITHOUT ROWID;

      -- What happened to a source: scans, waiting deletions, drift and its repair, on both sides.
      CREATE TABLE inventory_event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        source_id INTEGER NOT NULL REFERENCES inventory_source (id) ON DELETE CASCADE,
        -- When it happened; and when it was written, by our clock.
        at INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        -- bridge or cloud: who says so.
        side TEXT NOT NULL,
        event TEXT NOT NULL,
        kind TEXT,
        message TEXT NOT NULL,
        -- JSON, numbers by name.
        figures TEXT
      ) STRICT;
      CREATE INDEX inventory_event_by_source ON inventory_event (source_id, id);
    `,
  },
  {
    id: "inventory-2-timeline",
    sql: `
      -- What happened to a device, by id: the order in which it was learnt, whatever the clocks say.
      CREATE TABLE timeline_event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        record_id INTEGER NOT NULL REFERENCES inventory_record (id) ON DELETE CASCADE,
        -- When it happened, by the clock of who says so; and when it was written, by ours.
        at INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        -- inventory.changed, device.appeared, action.requested, certificate.issued ...: core/timeline.ts.
        kind TEXT NOT NULL,
        -- Who did it: an administrator, a connector; NULL where nobody here did.
        actor TEXT,
        title TEXT NOT NULL,
        -- JSON of its own for each kind.
        detail TEXT
      ) STRICT;
      CREATE INDEX timeline_event_by_record ON timeline_event (record_id, id);
    `,
  },
  {
    id: "inventory-3-client-events",
    sql: `
      -- Of what may be told more than once: who tells it after a restored backup, or under another lease, tells it again.
      ALTER TABLE timeline_event ADD COLUMN event_key TEXT;
      CREATE UNIQUE INDEX timeline_event_by_key ON timeline_event (record_id, event_key) WHERE event_key IS NOT NULL;
    `,
  },
  {
    id: "inventory-4-short-indexes",
    sql: `
      -- By the ends of ids: whoever looks one up compares the whole as well. They come in no order, and an index of a third of the size has a
      -- third of the pages that a first sync changes time and again. The beginnings of SIDs and of clients' ids are all the same.
      DROP INDEX inventory_record_by_smsid;
      DROP INDEX inventory_record_by_sid;
      DROP INDEX inventory_record_by_entra_device;
      CREATE INDEX inventory_record_by_smsid_end ON inventory_record (substr(smsid, -6) COLLATE NOCASE) WHERE smsid IS NOT NULL;
      CREATE INDEX inventory_record_by_sid_end ON inventory_record (substr(sid, -6) COLLATE NOCASE) WHERE sid IS NOT NULL;
      CREATE INDEX inventory_record_by_entra_device_end ON inventory_record (substr(entra_device_id, -6) COLLATE NOCASE)
        WHERE entra_device_id IS NOT NULL;
    `,
  },
  {
    id: "inventory-5-identifiers",
    sql: `
      -- The ends of ids that come in no order. An index over all of them has a page to be written for nearly each new record. Here what is new
      -- goes into a small table, and from there thousands at once into the large one (inventory-identifiers.ts).
      CREATE TABLE inventory_identifier (
        ending TEXT NOT NULL COLLATE NOCASE,
        record_id INTEGER NOT NULL,
        PRIMARY KEY (ending, record_id)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE inventory_fresh_identifier (
        ending TEXT NOT NULL COLLATE NOCASE,
        record_id INTEGER NOT NULL,
        PRIMARY KEY (ending, record_id)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO inventory_identifier
        SELECT substr(smsid, -6) COLLATE NOCASE AS ending, id FROM inventory_record WHERE smsid IS NOT NULL
        UNION SELECT substr(entra_device_id, -6) COLLATE NOCASE, id FROM inventory_record WHERE entra_device_id IS NOT NULL
        ORDER BY 1, 2;
      DROP INDEX inventory_record_by_smsid_end;
      DROP INDEX inventory_record_by_entra_device_end;

      CREATE TRIGGER inventory_record_has_smsid AFTER INSERT ON inventory_record WHEN NEW.smsid IS NOT NULL BEGIN
        INSERT OR IGNORE INTO inventory_fresh_identifier VALUES (substr(NEW.smsid, -6), NEW.id);
      END;
      CREATE TRIGGER inventory_record_has_entra_device AFTER INSERT ON inventory_record WHEN NEW.entra_device_id IS NOT NULL BEGIN
        INSERT OR IGNORE INTO inventory_fresh_identifier VALUES (substr(NEW.entra_device_id, -6), NEW.id);
      END;
      CREATE TRIGGER inventory_record_identified_anew AFTER UPDATE OF smsid, entra_device_id ON inventory_record
      WHEN OLD.smsid IS NOT NEW.smsid OR OLD.entra_device_id IS NOT NEW.entra_device_id BEGIN
        DELETE FROM inventory_fresh_identifier
          WHERE ending IN (substr(OLD.smsid, -6), substr(OLD.entra_device_id, -6)) AND record_id = OLD.id;
        DELETE FROM inventory_identifier
          WHERE ending IN (substr(OLD.smsid, -6), substr(OLD.entra_device_id, -6)) AND record_id = OLD.id;
        INSERT OR IGNORE INTO inventory_identifier SELECT substr(NEW.smsid, -6), NEW.id WHERE NEW.smsid IS NOT NULL;
        INSERT OR IGNORE INTO inventory_identifier
          SELECT substr(NEW.entra_device_id, -6), NEW.id WHERE NEW.entra_device_id IS NOT NULL;
      END;
      CREATE TRIGGER inventory_record_ends AFTER DELETE ON inventory_record BEGIN
        DELETE FROM inventory_fresh_identifier
          WHERE ending IN (substr(OLD.smsid, -6), substr(OLD.entra_device_id, -6)) AND record_id = OLD.id;
        DELETE FROM inventory_identifier
          WHERE ending IN (substr(OLD.smsid, -6), substr(OLD.entra_device_id, -6)) AND record_id = OLD.id;
      END;
    `,
  },
];
