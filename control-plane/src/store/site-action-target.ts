import { ConnectorError } from "@isthmus/shared/errors";
import type { ActionTarget } from "@isthmus/shared/link/site-messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import { recordGuid, recordIdOfGuid } from "../core/record-guid.ts";
import type { WantedTarget } from "../core/site-action-records.ts";
import { deviceStatement, RESOURCE_ID } from "./co-management-selects.ts";
import { recordsEndingAs } from "./inventory-identifiers.ts";

/** What an action is done on, found in the inventory. For use inside other operations. */

export interface ActionSite {
  readonly id: number;
  readonly name: string;
}

export interface ActionDevice {
  /** ResourceID. */
  readonly key: string;
  readonly recordId: number;
}

export interface FoundTarget {
  readonly site: ActionSite;
  readonly target: ActionTarget;
  /** The devices that were named; none for a collection, which the bridge resolves. */
  readonly devices: readonly ActionDevice[];
}

/** Throws `site-unknown`, `device-unknown`, `device-ambiguous`, `collection-unknown`. */
export function findTarget(transaction: Transaction, wanted: WantedTarget): FoundTarget {
  if (!("source" in wanted)) return oneDevice(transaction, wanted.managedDeviceId);
  const site = siteNamed(transaction, wanted.source);
  if ("collectionId" in wanted) {
    const collection = recordNamed(transaction, site, "collection", wanted.collectionId);
    if (collection === undefined) {
      const message = `${site.name} has no collection ${wanted.collectionId}`;
      throw new ConnectorError("collection-unknown", message);
    }
    const collectionId = String(collection["key"]);
    return { site, target: { kind: "collection", collectionId }, devices: [] };
  }
  const devices =
    "resourceIds" in wanted
      ? wanted.resourceIds.map((id) => deviceByKey(transaction, site, String(id)))
      : wanted.managedDeviceIds.map((id) => deviceOfSite(transaction, site, id));
  return { site, ...onDevices(devices) };
}

/** A site by its code. Throws `site-unknown`. */
export function siteNamed(transaction: Transaction, name: string): ActionSite {
  const row = transaction.get(
    "SELECT id, name FROM inventory_source WHERE name = ? AND type = 'configmgr'",
    name,
  );
  if (row !== undefined) return { id: Number(row["id"]), name: String(row["name"]) };
  throw new ConnectorError("site-unknown", `There is no site ${name.slice(0, 64)}`);
}

/** A record that is there, by the key that the site has for it. */
export function recordOf(
  transaction: Transaction,
  site: ActionSite,
  kind: string,
  key: string,
): Row | undefined {
  return transaction.get(
    "SELECT id, key, name FROM inventory_record WHERE source_id = ? AND kind = ? AND key = ? AND deleted_at IS NULL",
    site.id,
    kind,
    key,
  );
}

/** The same, or by the GUID that lists give it. */
export function recordNamed(
  transaction: Transaction,
  site: ActionSite,
  kind: string,
  id: string,
): Row | undefined {
  const recordId = recordIdOfGuid(id);
  const byKey = recordOf(transaction, site, kind, id);
  if (byKey !== undefined || recordId === undefined) return byKey;
  return transaction.get(
    "SELECT id, key, name FROM inventory_record WHERE id = ? AND source_id = ? AND kind = ? AND deleted_at IS NULL",
    recordId,
    site.id,
    kind,
  );
}

function oneDevice(transaction: Transaction, managedDeviceId: string): FoundTarget {
  const row = deviceRow(transaction, managedDeviceId);
  const site = { id: Number(row["source_id"]), name: String(row["source"]) };
  return { site, ...onDevices([toDevice(row)]) };
}

/** Below a site a ResourceID means that site's device, whatever other sites have. */
function deviceOfSite(transaction: Transaction, site: ActionSite, id: string): ActionDevice {
  if (RESOURCE_ID.test(id) && !isEntry(transaction, id)) return deviceByKey(transaction, site, id);
  const row = deviceRow(transaction, id);
  if (Number(row["source_id"]) === site.id) return toDevice(row);
  throw new ConnectorError("device-unknown", `Device ${id} is none of ${site.name}`);
}

function deviceRow(transaction: Transaction, managedDeviceId: string): Row {
  const { sql, parameters } = deviceStatement(managedDeviceId);
  const row = transaction.get(
    `SELECT r.id, r.key, r.source_id, s.name AS source FROM inventory_record r
       JOIN inventory_source s ON s.id = r.source_id AND s.type = 'configmgr' WHERE r.id = ?`,
    transaction.get(sql, ...parameters)?.["id"] ?? 0,
  );
  if (row !== undefined) {
    requireOneSite(transaction, managedDeviceId);
    return row;
  }
  requireUniqueResourceId(transaction, managedDeviceId);
  const message = `There is no Configuration Manager device ${managedDeviceId.slice(0, 128)}`;
  throw new ConnectorError("device-unknown", message);
}

/**
 * An administrator's entry stands for the device with its Entra id, which is whatever a bridge says: where several sites claim it, nothing is
 * done at the one that spoke last.
 */
function requireOneSite(transaction: Transaction, managedDeviceId: string): void {
  const sites = transaction.all(
    `SELECT DISTINCT s.name FROM managed_device d
       JOIN inventory_record r ON r.id IN (${recordsEndingAs("d.link_key")})
         AND r.entra_device_id = d.link_key AND r.kind = 'device' AND r.deleted_at IS NULL
       JOIN inventory_source s ON s.id = r.source_id AND s.type = 'configmgr'
     WHERE d.id = ? ORDER BY s.name LIMIT 10`,
    managedDeviceId,
  );
  if (sites.length < 2) return;
  const names = sites.map(({ name }) => String(name)).join(", ");
  throw new ConnectorError(
    "device-ambiguous",
    `Several sites have a device with this Entra id (${names}): set syncedDeviceId, or name the device below its site`,
  );
}

function isEntry(transaction: Transaction, id: string): boolean {
  return (
    transaction.get("SELECT 1 FROM managed_device WHERE id = ? AND removed_at IS NULL", id) !==
    undefined
  );
}

/** Nothing is done at the one site or the other where several have the number. */
function requireUniqueResourceId(transaction: Transaction, id: string): void {
  if (!RESOURCE_ID.test(id) || isEntry(transaction, id)) return;
  const found = transaction.all(
    `SELECT r.id, s.name FROM inventory_source s CROSS JOIN inventory_record r
     WHERE s.type = 'configmgr' AND r.source_id = s.id AND r.kind = 'device' AND r.key = ? AND r.deleted_at IS NULL LIMIT 10`,
    id,
  );
  if (found.length < 2) return;
  const ids = found.map((row) => `${recordGuid(Number(row["id"]))} (${row["name"]})`).join(", ");
  throw new ConnectorError(
    "device-ambiguous",
    `Several sites have a device with ResourceID ${id}: name it by its id, one of ${ids}`,
  );
}

function deviceByKey(transaction: Transaction, site: ActionSite, key: string): ActionDevice {
  const row = recordOf(transaction, site, "device", key);
  if (row !== undefined) return toDevice(row);
  throw new ConnectorError("device-unknown", `${site.name} has no device with ResourceID ${key}`);
}

function toDevice(row: Row): ActionDevice {
  return { key: String(row["key"]), recordId: Number(row["id"]) };
}

function onDevices(devices: readonly ActionDevice[]): Omit<FoundTarget, "site"> {
  const resourceIds = [...new Set(devices.map(({ key }) => Number(key)))];
  return { target: { kind: "devices", resourceIds }, devices };
}
