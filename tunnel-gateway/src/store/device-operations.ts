import { recordAudit } from "@isthmus/shared/kernel/audit-operations";
import type { Migration, Operations, Row, Transaction } from "@isthmus/shared/store/transaction";
import type { Device } from "../core/device.ts";
import { makesGood } from "../core/device-states.ts";
import type { DeviceChanges, DeviceSource, DeviceUpdate, RefusedUpdate } from "../core/ports.ts";

/**
 * Device states as the cloud sent them. Each row keeps the version of the update that last spoke of it, so that updates
 * may be applied in any order and more than once. `device_source` has one row.
 */
export const deviceMigrations: readonly Migration[] = [
  {
    id: "tunnel-gateway-1-devices",
    sql: `
      CREATE TABLE device (
        device_id TEXT PRIMARY KEY,
        user_principal_name TEXT,
        member_of TEXT NOT NULL,
        compliance TEXT NOT NULL,
        reason TEXT,
        removed INTEGER NOT NULL,
        version INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE device_source (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        version INTEGER NOT NULL,
        snapshot_version INTEGER NOT NULL,
        confirmed_at INTEGER,
        refused_version INTEGER
      ) STRICT;
      INSERT INTO device_source (id, version, snapshot_version) VALUES (1, 0, 0);
    `,
  },
];

/** Our own: a gateway serves one organisation's devices. */
export const MAX_DEVICES = 1_000_000;

export const deviceOperations = {
  /** Applies one update; devices about which a newer one has spoken keep their state. */
  updateDevices(
    transaction: Transaction,
    of: { readonly update: DeviceUpdate; readonly at: number },
  ): DeviceChanges {
    const { update, at } = of;
    const source = readSource(transaction);
    if (update.version <= source.snapshotVersion) {
      return { isApplied: false, changed: [], forgotten: [] };
    }
    const changed = update.devices.filter((device) =>
      putDevice(transaction, device, update.version),
    );
    const forgotten = update.isSnapshot ? forgetOthers(transaction, update) : [];
    transaction.run(
      "UPDATE device_source SET version = max(version, ?), snapshot_version = ?",
      update.version,
      update.isSnapshot ? update.version : source.snapshotVersion,
    );
    if (makesGood(update, source.refusedVersion)) {
      transaction.run("UPDATE device_source SET confirmed_at = ?, refused_version = NULL", at);
    }
    const payload = { version: update.version, isSnapshot: update.isSnapshot };
    const counts = { changed: changed.length, forgotten: forgotten.length };
    recordAudit(transaction, { at, event: "devices.updated", payload: { ...payload, ...counts } });
    return { isApplied: true, changed, forgotten };
  },

  /** Notes that a guardrail refused an update, so that the states stop counting as confirmed until it is made good. */
  noteRefusedUpdate(transaction: Transaction, of: RefusedUpdate & { readonly at: number }): void {
    const { version, at, rule, sessions } = of;
    transaction.run(
      "UPDATE device_source SET refused_version = max(coalesce(refused_version, 0), ?)",
      version,
    );
    recordAudit(transaction, {
      at,
      event: "devices.refused",
      payload: { version, rule, sessions },
    });
  },

  /** Notes that the cloud was reached, so that a restart without it does not begin with states of unknown age. */
  noteContact(transaction: Transaction, at: number): void {
    transaction.run(
      "UPDATE device_source SET confirmed_at = max(coalesce(confirmed_at, 0), ?) WHERE refused_version IS NULL AND version > 0",
      at,
    );
  },

  deviceSource(transaction: Transaction): DeviceSource {
    const { version, confirmedAt, refusedVersion } = readSource(transaction);
    return { version, confirmedAt, refusedVersion };
  },

  /** Devices in the order of their ids, from the one after `after`. */
  listDevices(
    transaction: Transaction,
    of: { readonly after: string; readonly limit: number },
  ): Device[] {
    const sql = "SELECT * FROM device WHERE device_id > ? ORDER BY device_id LIMIT ?";
    return transaction.all(sql, of.after, of.limit).map(toDevice);
  },
} satisfies Operations;

/** Whether the row was written: not when a newer update has spoken of the device. */
function putDevice(transaction: Transaction, device: Device, version: number): boolean {
  const { changes } = transaction.run(
    `INSERT INTO device (device_id, user_principal_name, member_of, compliance, reason, removed, version)
     VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (device_id) DO UPDATE SET user_principal_name = excluded.user_principal_name,
       member_of = excluded.member_of, compliance = excluded.compliance, reason = excluded.reason,
       removed = excluded.removed, version = excluded.version
     WHERE excluded.version > device.version`,
    device.deviceId,
    device.userPrincipalName ?? null,
    JSON.stringify(device.groups),
    device.compliance,
    device.reason ?? null,
    device.removed ? 1 : 0,
    version,
  );
  return changes > 0;
}

function forgetOthers(transaction: Transaction, update: DeviceUpdate): string[] {
  const present = new Set(update.devices.map((device) => device.deviceId));
  const forgotten = transaction
    .all("SELECT device_id FROM device WHERE version < ? LIMIT ?", update.version, MAX_DEVICES)
    .map((row) => String(row["device_id"]))
    .filter((deviceId) => !present.has(deviceId));
  for (const deviceId of forgotten) {
    transaction.run("DELETE FROM device WHERE device_id = ?", deviceId);
  }
  return forgotten;
}

function readSource(transaction: Transaction): DeviceSource & { readonly snapshotVersion: number } {
  const row = transaction.get("SELECT * FROM device_source");
  return {
    version: Number(row?.["version"]),
    snapshotVersion: Number(row?.["snapshot_version"]),
    confirmedAt: optionalNumber(row?.["confirmed_at"]),
    refusedVersion: optionalNumber(row?.["refused_version"]),
  };
}

function optionalNumber(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}

function toDevice(row: Row): Device {
  return {
    deviceId: String(row["device_id"]),
    userPrincipalName: optionalText(row["user_principal_name"]),
    groups: JSON.parse(String(row["member_of"])),
    compliance: row["compliance"] as Device["compliance"],
    reason: optionalText(row["reason"]),
    removed: row["removed"] === 1,
  };
}

function optionalText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
