import { queryBuilder } from "@isthmus/shared/store/query-builder";
import type { SqlValue } from "@isthmus/shared/store/transaction";
import { type RawBuilder, sql } from "kysely";
import { recordIdOfGuid } from "../core/record-guid.ts";
import { factIn } from "./facet-fact.ts";
import { recordsEndingAs } from "./inventory-identifiers.ts";
import type { ResourceArm } from "./resource-arm.ts";

/** Devices as co-management lists them: administrators' own entries, and what sources tell. Properties: core/co-management-resources.ts. */

type Sql = RawBuilder<unknown>;

/** A domain's computer accounts are no managed devices. The sign keeps the planner from reading by source, which no order follows. */
const isListed = (record: Sql) =>
  sql`+${record}.source_id IN (SELECT id FROM inventory_source WHERE type <> 'active-directory')`;

const guid = (id: Sql) => sql`printf('00000000-0000-4000-8000-%012x', ${id})`;

/** The device that an administrator's entry `d` is: the one that was named, or the one with its Entra id that was heard of last. */
const recordOfEntry = sql`
  coalesce(d.record_id, (SELECT e.id FROM inventory_record e
    WHERE e.id IN (${sql.raw(recordsEndingAs("d.link_key"))}) AND e.entra_device_id = d.link_key
      AND e.kind = 'device' AND e.deleted_at IS NULL AND ${isListed(sql`e`)}
    ORDER BY e.management_agent IS NULL, e.last_seen_at DESC, e.id LIMIT 1))`;

/** Whether no administrator's entry stands for the device `r`. */
const isNobodys = sql`
  NOT EXISTS (SELECT 1 FROM managed_device d WHERE d.record_id = r.id AND d.removed_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM managed_device d WHERE d.link_key = r.entra_device_id)`;

const entryOfRecord = sql`
  coalesce((SELECT d.id FROM managed_device d WHERE d.record_id = r.id AND d.removed_at IS NULL ORDER BY d.id LIMIT 1),
    (SELECT d.id FROM managed_device d WHERE d.link_key = r.entra_device_id ORDER BY d.id LIMIT 1))`;

const stableFact = (path: string) =>
  sql`(SELECT ${factIn(sql`stable`, path)} FROM inventory_document WHERE record_id = r.id)`;

/** Of a facet without a column of its own. */
const factOf = (facet: string, path: string) =>
  sql`(SELECT ${factIn(sql`others`, `$.${facet}.${path}`)} FROM inventory_document WHERE record_id = r.id)`;

/** What both arms take from the device `r`. */
function toldColumns(now: number): Sql {
  return sql`
    r.os_version AS osVersion, r.last_seen_at AS lastSyncDateTime,
    coalesce(r.management_agent, 'unknown') AS managementAgent, coalesce(r.management_state, 'managed') AS managementState,
    r.manufacturer, r.model, r.serial_number AS serialNumber,
    CASE WHEN r.management_agent <> 'unknown' THEN r.co_management_flags END AS configurationManagerClientEnabledFeatures,
    CASE WHEN r.management_agent IS NOT NULL THEN json_object('hasClient', r.management_agent <> 'unknown', 'isActive',
      ${factOf("health", "ClientActiveStatus")}, 'lastSeenAt', r.last_seen_at, 'now', ${now})
      END AS configurationManagerClientHealthState,
    CASE WHEN r.management_agent <> 'unknown' THEN json_object('clientIdentifier', r.smsid, 'isBlocked',
      ${factOf("clientBlock", "IsBlocked")}, 'clientVersion', r.client_version) END AS configurationManagerClientInformation,
    (SELECT json_group_array(json_object('actionName', action_name, 'actionState', action_state, 'startedAt', started_at,
        'updatedAt', updated_at, 'actionDeliveryStatus', action_delivery_status, 'errorCode', error_code))
      FROM (SELECT * FROM device_action_result a WHERE a.record_id = r.id ORDER BY started_at DESC LIMIT 50))
      AS deviceActionResults,
    r.co_management_flags AS coManagementFlags, r.os_description AS osDescription, r.is_online AS isOnline,
    (SELECT name FROM inventory_source WHERE id = r.source_id) AS configurationManagerSite,
    r.key AS configurationManagerKey, r.id AS syncedDeviceId`;
}

/** What is told of a device that no administrator's entry stands for. */
function syncedColumns(now: number): Sql {
  return sql`
    r.name AS deviceName, r.operating_system AS operatingSystem, r.user_principal_name AS userPrincipalName, '[]' AS groups,
    ${syncedCompliance} AS complianceState, NULL AS complianceReason, r.first_seen_at AS enrolledDateTime,
    r.changed_at AS lastModifiedDateTime, r.entra_device_id AS azureADDeviceId, ${toldColumns(now)}`;
}

/** Graph's word for a device whose compliance is Configuration Manager's business, until bit 2 says that it is Intune's. */
const syncedCompliance = sql`
  CASE WHEN coalesce(r.management_agent, 'unknown') <> 'unknown' AND coalesce(r.co_management_flags, 0) & 2 = 0
    THEN 'configManager' ELSE 'unknown' END`;

/** `managedDevices`, or those of them that `only` is true of. */
function deviceArms(now: number, only: Sql = sql`1`): ResourceArm[] {
  const entries = sql`
    SELECT d.id, coalesce(d.device_name, r.name) AS deviceName,
      coalesce(d.operating_system, r.operating_system) AS operatingSystem,
      coalesce(d.user_principal_name, r.user_principal_name) AS userPrincipalName, d.groups,
      d.compliance AS complianceState, d.compliance_reason AS complianceReason, d.enrolled_at AS enrolledDateTime,
      d.modified_at AS lastModifiedDateTime, coalesce(d.entra_device_id, r.entra_device_id) AS azureADDeviceId,
      ${toldColumns(now)}
    FROM managed_device d LEFT JOIN inventory_record r ON r.id = ${recordOfEntry} AND r.deleted_at IS NULL
    WHERE d.removed_at IS NULL AND ${only}`;
  const synced = sql`
    SELECT ${guid(sql`r.id`)} AS id, r.id AS recordNumber, ${syncedColumns(now)}
    FROM inventory_record r
    WHERE r.kind = 'device' AND r.deleted_at IS NULL AND ${isListed(sql`r`)} AND ${isNobodys} AND ${only}`;
  return [{ select: entries }, { select: synced, recordNumber: "recordNumber" }];
}

const eligibleDevices = () => sql`
  SELECT r.id, r.name AS deviceName,
    CASE r.operating_system WHEN 'Windows' THEN 'desktop' WHEN 'macOS' THEN 'macMDM' WHEN 'Linux' THEN 'linux'
      ELSE 'unknown' END AS deviceType,
    CASE WHEN r.entra_device_id IS NULL THEN 'notRegistered' ELSE 'registered' END AS clientRegistrationStatus,
    'company' AS ownerType, r.management_agent AS managementAgents, r.management_state AS managementState,
    coalesce(${entryOfRecord}, ${guid(sql`r.id`)}) AS referenceId,
    CASE ${stableFact("$.MDMEnrolled")} WHEN 1 THEN 'Enrolled' ELSE 'NotEnrolled' END AS mdmStatus,
    r.os_version AS osVersion, r.serial_number AS serialNumber, r.manufacturer, r.model,
    r.os_description AS osDescription, 0 AS entitySource, NULL AS userId, r.user_principal_name AS upn,
    NULL AS userEmail, coalesce(${stableFact("$.PrimaryUser")}, ${stableFact("$.LastLogonUserName")}) AS userName,
    r.comanagement_status AS status, (SELECT name FROM inventory_source WHERE id = r.source_id) AS configurationManagerSite
  FROM inventory_record r WHERE r.kind = 'device' AND r.deleted_at IS NULL AND r.comanagement_status IS NOT NULL`;

/** The collection first, then its members by their numbers, in the order of the index. */
const members = (now: number) => sql`
  SELECT m.record_id AS id, c.id AS collectionRecordId, ${syncedColumns(now)}
  FROM inventory_record c CROSS JOIN inventory_membership m CROSS JOIN inventory_record r
  WHERE c.kind = 'collection' AND c.deleted_at IS NULL AND m.source_id = c.source_id AND m.collection_key = c.key
    AND r.id = m.record_id AND r.deleted_at IS NULL`;

/** Out of the device's facet; those whose own records have not come yet are left out. */
const memberships = () => sql`
  SELECT c.id, f.record_id AS deviceRecordId, c.name AS displayName,
    (SELECT name FROM inventory_source WHERE id = c.source_id) AS configurationManagerSite, c.key,
    c.first_seen_at AS firstSeenDateTime, c.changed_at AS lastModifiedDateTime, c.key AS collectionId
  FROM inventory_facet f CROSS JOIN inventory_record d CROSS JOIN json_each(f.value) j CROSS JOIN inventory_record c
  WHERE f.facet = 'collections' AND d.id = f.record_id AND json_type(f.value) = 'array'
    AND c.source_id = d.source_id AND c.kind = 'collection' AND c.key = j.value AND c.deleted_at IS NULL`;

export const coManagementSelects = {
  managedDevices: (now: number) => deviceArms(now),
  comanagedDevices: (now: number) =>
    deviceArms(now, sql`r.management_agent = 'configurationManagerClientMdm'`),
  comanagementEligibleDevices: eligibleDevices,
  configurationManagerMembers: members,
  configurationManagerMemberships: memberships,
};

const builder = queryBuilder<Record<string, never>>();

/** As sites number devices. */
export const RESOURCE_ID = /^[1-9]\d{0,9}$/;

/** The device with this ResourceID where one site alone has it, and no administrator's entry has it as its id. */
function deviceOfResourceId(id: string): Sql {
  if (!RESOURCE_ID.test(id)) return sql`0`;
  return sql`(SELECT CASE WHEN count(*) = 1 THEN min(k.id) END
    FROM inventory_source s CROSS JOIN inventory_record k
    WHERE s.type = 'configmgr' AND k.source_id = s.id AND k.kind = 'device' AND k.key = ${id} AND k.deleted_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM managed_device WHERE id = ${id} AND removed_at IS NULL))`;
}

/**
 * A statement for the device that an id in managedDevices stands for, an administrator's entry, a record's GUID or a ResourceID: `id` of its
 * record, `entryId` of the entry that is joined with it.
 */
export function deviceStatement(managedDeviceId: string) {
  const record = recordIdOfGuid(managedDeviceId) ?? deviceOfResourceId(managedDeviceId);
  const entry = sql`(SELECT ${recordOfEntry} FROM managed_device d WHERE d.id = ${managedDeviceId} AND d.removed_at IS NULL)`;
  const device = sql`
    SELECT r.id, ${entryOfRecord} AS entryId FROM inventory_record r
    WHERE r.id = coalesce(${entry}, ${record}) AND r.kind = 'device' AND r.deleted_at IS NULL`;
  const { sql: text, parameters } = device.compile(builder);
  return { sql: text, parameters: parameters as readonly SqlValue[] };
}
