import type { Migration } from "@isthmus/shared/store/transaction";

/** Tables of what administrators own: accounts, devices, tunnel objects, challenges. Times are ms, JSON is text. */
export const adminMigrations: readonly Migration[] = [
  {
    id: "admin-1-accounts",
    sql: `
      CREATE TABLE administrator (
        id TEXT PRIMARY KEY,
        user_name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        password_hash TEXT NOT NULL,
        roles TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        password_at INTEGER NOT NULL,
        disabled_at INTEGER,
        last_sign_in_at INTEGER
      ) STRICT;
      CREATE TABLE session (
        token_hash TEXT PRIMARY KEY,
        administrator_id TEXT NOT NULL REFERENCES administrator (id) ON DELETE CASCADE,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX session_by_administrator ON session (administrator_id, created_at);
      CREATE INDEX session_by_end ON session (expires_at);
    `,
  },
  {
    id: "admin-2-devices",
    sql: `
      CREATE TABLE managed_device (
        id TEXT PRIMARY KEY,
        device_name TEXT,
        operating_system TEXT,
        user_principal_name TEXT,
        groups TEXT NOT NULL,
        compliance TEXT NOT NULL,
        compliance_reason TEXT,
        enrolled_at INTEGER NOT NULL,
        modified_at INTEGER NOT NULL,
        -- A removed device stays, so that gateways that were away learn of it.
        removed_at INTEGER
      ) STRICT;
      CREATE INDEX managed_device_by_user ON managed_device (user_principal_name);
      -- Grows with each update of devices that leaves for a gateway.
      CREATE TABLE device_version (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        version INTEGER NOT NULL,
        last_at INTEGER NOT NULL
      ) STRICT;
      INSERT INTO device_version (id, version, last_at) VALUES (1, 0, 0);
      -- Which gateways have been told everything, and since when they are told changes alone.
      CREATE TABLE device_feed (
        connector_id TEXT PRIMARY KEY REFERENCES connector (id) ON DELETE CASCADE,
        epoch INTEGER NOT NULL,
        fed_at INTEGER NOT NULL,
        is_current INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX command_of_devices ON command (connector_id, state, created_at) WHERE kind = 'devices.update';
    `,
  },
  {
    id: "admin-3-tunnel",
    sql: `
      CREATE TABLE tunnel_configuration (
        id TEXT PRIMARY KEY,
        displayName TEXT NOT NULL,
        description TEXT,
        network TEXT,
        ipv6Network TEXT,
        dnsServers TEXT NOT NULL,
        defaultDomainSuffix TEXT,
        routeIncludes TEXT NOT NULL,
        routeExcludes TEXT NOT NULL,
        splitDNS TEXT NOT NULL,
        listenPort INTEGER NOT NULL,
        advancedSettings TEXT NOT NULL,
        lastUpdateDateTime INTEGER NOT NULL,
        roleScopeTagIds TEXT NOT NULL,
        disableUdpConnections INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE tunnel_site (
        id TEXT PRIMARY KEY,
        displayName TEXT NOT NULL,
        description TEXT,
        publicAddress TEXT NOT NULL,
        upgradeWindowUtcOffsetInMinutes INTEGER NOT NULL,
        upgradeWindowStartTime TEXT NOT NULL,
        upgradeWindowEndTime TEXT NOT NULL,
        upgradeAutomatically INTEGER NOT NULL,
        upgradeAvailable INTEGER NOT NULL,
        internalNetworkProbeUrl TEXT,
        roleScopeTagIds TEXT NOT NULL,
        microsoftTunnelConfigurationId TEXT REFERENCES tunnel_configuration (id)
      ) STRICT;
      -- A tunnel server is a tunnel-gateway that is a connector; here is only to which site it belongs.
      CREATE TABLE tunnel_server (
        connector_id TEXT PRIMARY KEY REFERENCES connector (id) ON DELETE CASCADE,
        site_id TEXT NOT NULL REFERENCES tunnel_site (id)
      ) STRICT;
      CREATE INDEX tunnel_server_by_site ON tunnel_server (site_id);
    `,
  },
  {
    id: "admin-4-certificates",
    sql: `
      CREATE TABLE scep_challenge (
        id TEXT PRIMARY KEY,
        connector_id TEXT NOT NULL,
        profile_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        user_principal_name TEXT,
        subject TEXT NOT NULL,
        subject_alt_names TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        actor TEXT NOT NULL
      ) STRICT;
      CREATE INDEX scep_challenge_by_device ON scep_challenge (device_id);
      CREATE INDEX scep_challenge_by_end ON scep_challenge (expires_at);
      CREATE INDEX command_by_end ON command (expires_at);
      CREATE TABLE revocation_request (
        serial_number TEXT NOT NULL,
        issuer TEXT NOT NULL,
        command_id TEXT NOT NULL,
        PRIMARY KEY (serial_number, issuer)
      ) STRICT;
      -- Statements about the next tenant key, in their order; a connector that was away needs each of them.
      CREATE TABLE trust_statement (
        id INTEGER PRIMARY KEY,
        jws TEXT NOT NULL,
        thumbprint TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL
      ) STRICT;
    `,
  },
  {
    id: "admin-5-tunnel-health",
    sql: `
      -- What the connector is sent where that is more than its own document (body): with what its tunnel site says.
      ALTER TABLE desired_configuration ADD COLUMN compiled TEXT;
      -- As last judged; a server that was not judged yet has no row.
      CREATE TABLE tunnel_server_health (
        connector_id TEXT PRIMARY KEY REFERENCES connector (id) ON DELETE CASCADE,
        status TEXT NOT NULL,
        details TEXT NOT NULL,
        judged_at INTEGER NOT NULL
      ) STRICT;
      -- Values by name, the last of each step of time.
      CREATE TABLE tunnel_health_sample (
        connector_id TEXT NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
        at INTEGER NOT NULL,
        figures TEXT NOT NULL,
        PRIMARY KEY (connector_id, at)
      ) STRICT;
      CREATE INDEX tunnel_health_sample_by_time ON tunnel_health_sample (at);
      -- Thresholds that were changed; the others have their defaults.
      CREATE TABLE tunnel_health_threshold (
        id TEXT PRIMARY KEY,
        healthy INTEGER NOT NULL,
        unhealthy INTEGER NOT NULL
      ) STRICT;
    `,
  },
];
