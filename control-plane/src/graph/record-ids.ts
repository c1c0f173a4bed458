import { ConnectorError } from "@isthmus/shared/errors";
import type { DeviceRecord, InventoryReads, KeyedRecord } from "../core/inventory-reads.ts";
import { recordGuid, recordIdOfGuid } from "../core/record-guid.ts";
import type { ResourceName } from "../core/resources.ts";

/**
 * Which entity an id of a path means: lists give the GUID of a record, sites speak of ResourceIDs, CollectionIDs and the like. Each is
 * taken; what several sources have is refused with the GUIDs to choose from.
 */

/** Kinds of the resources whose ids are GUIDs of records, and what their sources call the key. */
const KEYED: Readonly<Partial<Record<ResourceName, readonly [kind: string, key: string]>>> = {
  configurationManagerCollections: ["collection", "CollectionID"],
  configurationManagerUsers: ["user", "ResourceID"],
  configurationManagerGroups: ["group", "key"],
  configurationManagerApplications: ["application", "key"],
  configurationManagerDeployments: ["deployment", "key"],
  configurationManagerSoftwareUpdates: ["software-update", "CI_ID"],
  configurationManagerScripts: ["script", "ScriptGuid"],
  configurationManagerBoundaryGroups: ["boundary-group", "key"],
};

const RESOURCE_ID = /^[1-9]\d{0,9}$/;

type Of = { readonly inventory: InventoryReads };

/** The id that an entity is listed under. Throws `not-found` for a key that no source has, `id-ambiguous`. */
export async function entityIdOf(
  { inventory }: Of,
  resource: ResourceName,
  id: string,
): Promise<string> {
  switch (resource) {
    case "managedDevices":
    case "comanagedDevices": {
      const device = isAlias(id) ? await findDevice({ inventory }, id) : undefined;
      return device === undefined ? id : (device.entryId ?? recordGuid(device.recordId));
    }
    case "comanagementEligibleDevices": {
      if (recordIdOfGuid(id) !== undefined) return id;
      const device = await findDevice({ inventory }, id);
      return device === undefined ? id : recordGuid(device.recordId);
    }
    default:
      return await recordIdFor(inventory, resource, id);
  }
}

async function recordIdFor(
  inventory: InventoryReads,
  resource: ResourceName,
  id: string,
): Promise<string> {
  const keyed = KEYED[resource];
  if (keyed === undefined) return id;
  const [kind, keyName] = keyed;
  const isGuid = recordIdOfGuid(id) !== undefined;
  const guid = isGuid ? id : await idOfKey(inventory, { resource, kind, keyName, key: id });
  return kind === "user" ? await listedUser(inventory, guid) : guid;
}

/** A domain's user stands below that of a site with the same SID. */
async function listedUser(inventory: InventoryReads, guid: string): Promise<string> {
  const joined = await inventory.joinedBySid(recordIdOfGuid(guid) ?? 0);
  const ofSite = joined.find(({ sourceType }) => sourceType === "configmgr");
  return ofSite === undefined ? guid : recordGuid(ofSite.id);
}

function isAlias(id: string): boolean {
  return recordIdOfGuid(id) !== undefined || RESOURCE_ID.test(id);
}

/**
 * The device that an id in managedDevices, the GUID of its record or the ResourceID that one site alone has stands for. Throws
 * `id-ambiguous`.
 */
export async function findDevice({ inventory }: Of, id: string): Promise<DeviceRecord | undefined> {
  const device = await inventory.deviceRecord(id);
  if (device !== undefined || !RESOURCE_ID.test(id)) return device;
  const found = await inventory.recordsOfKey({ kind: "device", keys: [id] });
  const ofSites = found.filter(({ sourceType }) => sourceType === "configmgr");
  if (ofSites.length > 1) throw ambiguous(`ResourceID ${id}`, ofSites);
  return undefined;
}

async function idOfKey(
  inventory: InventoryReads,
  of: {
    readonly resource: ResourceName;
    readonly kind: string;
    readonly keyName: string;
    readonly key: string;
  },
): Promise<string> {
  const { resource, kind, keyName, key } = of;
  // GUIDs are spelled in capitals here and in small letters there.
  const keys = key.length > 256 ? [] : [key, key.toUpperCase(), key.toLowerCase()];
  const found = await inventory.recordsOfKey({ kind, keys });
  const [only] = found;
  if (only === undefined) {
    throw new ConnectorError(
      "not-found",
      `There is no entity ${key.slice(0, 200)} in ${resource}: name it by its id, a GUID, or by its ${keyName}`,
    );
  }
  if (found.length > 1) throw ambiguous(`${keyName} ${key}`, found);
  return recordGuid(only.recordId);
}

function ambiguous(what: string, found: readonly KeyedRecord[]): ConnectorError {
  const ids = found.map(({ recordId, source }) => `${recordGuid(recordId)} (${source})`);
  return new ConnectorError(
    "id-ambiguous",
    `Several sources have ${what}: name it by its id, one of ${ids.slice(0, 10).join(", ")}`,
  );
}
