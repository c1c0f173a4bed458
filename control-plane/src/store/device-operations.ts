import { ConnectorError } from "@isthmus/shared/errors";
import type { DeviceState } from "@isthmus/shared/link/messages";
import type { Row, SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import type { Act, DeviceChange } from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import { recordIdOfGuid } from "../core/record-guid.ts";
import { announceDevice } from "./device-feed-operations.ts";
import { stateOf } from "./device-row.ts";
import { recordAct } from "./own-audit.ts";

/** Our own limit: beyond it the first feed of a gateway would need another shape. Removed devices count. */
export const MAX_DEVICES = 250_000;

/** Adds a device; one that was removed before comes back. Throws `device-exists`, `device-limit`. */
function createDevice(transaction: Transaction, device: DeviceChange): void {
  const { id, now } = device;
  refuseSynced(transaction, id, "device-exists");
  checkRecord(transaction, device);
  const present = transaction.get("SELECT removed_at FROM managed_device WHERE id = ?", id);
  if (present !== undefined && present["removed_at"] === null) {
    throw new ConnectorError("device-exists", `There is a device ${id} already`);
  }
  // Rows are never deleted, so the highest rowid is their number, found without counting.
  const count = Number(transaction.get("SELECT max(rowid) AS n FROM managed_device")?.["n"] ?? 0);
  if (present === undefined && count >= MAX_DEVICES) {
    throw new ConnectorError("device-limit", `There are ${MAX_DEVICES} devices already`);
  }
  transaction.run(
    `INSERT INTO managed_device (id, device_name, operating_system, user_principal_name, groups, compliance,
       compliance_reason, enrolled_at, modified_at, entra_device_id, record_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET device_name = excluded.device_name, operating_system = excluded.operating_system,
       user_principal_name = excluded.user_principal_name, groups = excluded.groups, compliance = excluded.compliance,
       compliance_reason = excluded.compliance_reason, enrolled_at = excluded.enrolled_at,
       modified_at = excluded.modified_at, entra_device_id = excluded.entra_device_id, record_id = excluded.record_id,
       removed_at = NULL`,
    id,
    device.deviceName ?? null,
    device.operatingSystem ?? null,
    device.userPrincipalName ?? null,
    JSON.stringify(device.groups ?? []),
    device.compliance ?? "unknown",
    device.complianceReason ?? null,
    now,
    now,
    device.azureADDeviceId ?? null,
    device.recordId ?? null,
  );
  recordAct(transaction, device, AUDIT_EVENTS.deviceCreated, detailsOf(device));
  announceDevice(transaction, readDevice(transaction, id), device);
}

/** Changes a device and queues the change for every gateway that was told of it. Throws `device-unknown`. */
function changeDevice(transaction: Transaction, change: DeviceChange): void {
  const { id } = change;
  const row = presentDevice(transaction, id);
  checkRecord(transaction, change);
  const before = stateOf(row);
  transaction.run(
    `UPDATE managed_device SET device_name = ?, operating_system = ?, user_principal_name = ?, groups = ?,
       compliance = ?, compliance_reason = ?, modified_at = ?, entra_device_id = ?, record_id = ? WHERE id = ?`,
    kept(change.deviceName, row["device_name"]),
    kept(change.operatingSystem, row["operating_system"]),
    kept(change.userPrincipalName, row["user_principal_name"]),
    kept(change.groups && JSON.stringify(change.groups), row["groups"]),
    kept(change.compliance, row["compliance"]),
    kept(change.complianceReason, row["compliance_reason"]),
    change.now,
    kept(change.azureADDeviceId, row["entra_device_id"]),
    kept(change.recordId, row["record_id"]),
    id,
  );
  recordAct(transaction, change, AUDIT_EVENTS.deviceChanged, detailsOf(change));
  const after = readDevice(transaction, id);
  if (JSON.stringify(after) !== JSON.stringify(before)) announceDevice(transaction, after, change);
}

/** Removes a device; gateways deny it from then on. Throws `device-unknown`. */
function removeDevice(
  transaction: Transaction,
  { id, ...act }: Act & { readonly id: string },
): void {
  presentDevice(transaction, id);
  transaction.run(
    "UPDATE managed_device SET removed_at = ?, modified_at = ? WHERE id = ?",
    act.now,
    act.now,
    id,
  );
  recordAct(transaction, act, AUDIT_EVENTS.deviceRemoved, { id });
  announceDevice(transaction, readDevice(transaction, id), act);
}

/** A device that a source tells of is neither made nor changed nor removed here. Throws ConnectorError `code`. */
function refuseSynced(transaction: Transaction, id: string, code: string): void {
  const row = transaction.get(
    `SELECT s.name FROM inventory_record r JOIN inventory_source s ON s.id = r.source_id
     WHERE r.id = ? AND r.kind = 'device' AND r.deleted_at IS NULL`,
    recordIdOfGuid(id) ?? 0,
  );
  if (row === undefined) return;
  throw new ConnectorError(
    code,
    `${String(row["name"])} tells of device ${id}: it changes and goes as it does there. What is ours of it stands in an entry of its own with the device's azureADDeviceId or syncedDeviceId`,
  );
}

/** Throws `synced-device-unknown`, `synced-device-in-use`. */
function checkRecord(transaction: Transaction, { id, recordId }: DeviceChange): void {
  if (recordId === null || recordId === undefined) return;
  const row = transaction.get(
    "SELECT 1 FROM inventory_record WHERE id = ? AND kind = 'device' AND deleted_at IS NULL",
    recordId,
  );
  if (row === undefined) {
    const message = "syncedDeviceId: no source tells of that device";
    throw new ConnectorError("synced-device-unknown", message);
  }
  const other = transaction.get(
    "SELECT id FROM managed_device WHERE record_id = ? AND id <> ? AND removed_at IS NULL",
    recordId,
    id,
  );
  if (other === undefined) return;
  const message = `syncedDeviceId: device ${String(other["id"])} is joined with it already`;
  throw new ConnectorError("synced-device-in-use", message);
}

/** The row of a device that is not removed. Throws ConnectorError `device-unknown`, `device-synced`. */
export function presentDevice(transaction: Transaction, id: string): Row {
  const row = transaction.get(
    "SELECT * FROM managed_device WHERE id = ? AND removed_at IS NULL",
    id,
  );
  if (row !== undefined) return row;
  refuseSynced(transaction, id, "device-synced");
  throw new ConnectorError("device-unknown", `There is no device ${id}`);
}

function readDevice(transaction: Transaction, id: string): DeviceState {
  return stateOf(transaction.get("SELECT * FROM managed_device WHERE id = ?", id) ?? {});
}

function kept<T extends SqlValue>(given: T | undefined, present: SqlValue | undefined): SqlValue {
  return given === undefined ? (present ?? null) : given;
}

function detailsOf({ actor: _actor, now: _now, ...details }: DeviceChange) {
  return details;
}

/** Devices as administrators see and change them. */
export const deviceOperations = { createDevice, changeDevice, removeDevice };
