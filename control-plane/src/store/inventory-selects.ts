import { type RawBuilder, sql } from "kysely";
import { DEFAULT_QUOTA } from "../core/inventory-quota.ts";
import { factIn } from "./facet-fact.ts";

/** Sources and records besides devices; properties: core/co-management-resources.ts. */

type Sql = RawBuilder<unknown>;

/** NULL of NULL. */
const guid = (id: Sql) =>
  sql`CASE WHEN ${id} IS NOT NULL THEN printf('00000000-0000-4000-8000-%012x', ${id}) END`;

const identity = (name: string) => factIn(sql`d.identity`, `$.${name}`);
const stable = (name: string) => factIn(sql`d.stable`, `$.${name}`);
const moving = (name: string) => factIn(sql`d.volatile`, `$.${name}`);

/**
 * What a bridge read of a script's definition. NULL where it could not; a value that people are not to see when they run the script is not shown
 * to them here either.
 */
const scriptParameters = sql`CASE json_type(d.others, '$.content.parameters') WHEN 'array' THEN
  (SELECT json_group_array(json_object('name', p.value ->> '$.name', 'type', p.value ->> '$.type',
      'isRequired', json(p.value -> '$.isRequired'), 'isHidden', json(p.value -> '$.isHidden'),
      'defaultValue', CASE json_type(p.value, '$.isHidden') WHEN 'false' THEN p.value ->> '$.defaultValue' END,
      'values', json(p.value -> '$.values'), 'minimum', json(p.value -> '$.minimum'), 'maximum', json(p.value -> '$.maximum'),
      'minLength', json(p.value -> '$.minLength'), 'maxLength', json(p.value -> '$.maxLength'),
      'pattern', p.value ->> '$.pattern'))
    FROM json_each(d.others, '$.content.parameters') p WHERE p.type = 'object') END`;

/** Records of a kind, with more columns out of their facets (d). */
function recordsOf(kind: string, columns: Sql): Sql {
  return sql`
    SELECT r.id, r.name AS displayName, (SELECT name FROM inventory_source WHERE id = r.source_id) AS configurationManagerSite,
      r.key, r.first_seen_at AS firstSeenDateTime, r.changed_at AS lastModifiedDateTime, ${columns}
    FROM inventory_record r
      LEFT JOIN inventory_document d ON d.record_id = r.id
    WHERE r.kind = ${sql.lit(kind)} AND r.deleted_at IS NULL`;
}

const sites = (now: number) => sql`
  SELECT s.name AS id, s.name AS displayName, s.type AS sourceType, s.created_at AS createdDateTime,
    coalesce(s.lease_until > ${now}, 0) AS isRead, s.connector_id AS leaseHolderId,
    (SELECT display_name FROM connector WHERE id = s.connector_id) AS leaseHolderDisplayName,
    s.lease_until AS leaseExpirationDateTime, s.last_entry_at AS lastEntryDateTime, s.revision, s.refused AS refusedRecords,
    u.over_since IS NOT NULL AS isOverQuota,
    json_object('records', coalesce(u.records + u.added_records, 0),
      'maxRecords', coalesce(q.records, a.records, ${DEFAULT_QUOTA.records}),
      'octets', coalesce(u.octets + u.added_octets, 0), 'maxOctets', coalesce(q.octets, a.octets, ${DEFAULT_QUOTA.octets}),
      'refusedCount', coalesce(u.refused, 0), 'overSince', u.over_since) AS quota,
    (SELECT json_group_object(kind, n) FROM (SELECT kind, count(*) AS n FROM inventory_record
      WHERE source_id = s.id AND deleted_at IS NULL GROUP BY kind)) AS counts,
    (SELECT json_group_array(json_object('eventDateTime', strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch'),
        'side', side, 'event', event, 'message', message))
      FROM (SELECT * FROM inventory_event WHERE source_id = s.id ORDER BY id DESC LIMIT 5)) AS lastEvents
  FROM inventory_source s LEFT JOIN inventory_usage u ON u.source_id = s.id
    LEFT JOIN inventory_quota q ON q.source = s.name LEFT JOIN inventory_quota a ON a.source = ''`;

/** The records that an event names are found by their keys, also those that are gone since. */
const siteEvents = () => sql`
  SELECT e.id, s.name AS configurationManagerSite, e.at AS eventDateTime, e.recorded_at AS recordedDateTime, e.side,
    e.event, e.kind, e.message, e.figures,
    CASE WHEN e.keys IS NOT NULL THEN (SELECT json_group_array(json_object('id', ${guid(sql`r.id`)}, 'key', k.value,
        'displayName', r.name))
      FROM json_each(e.keys) k LEFT JOIN inventory_record r
        ON r.source_id = e.source_id AND r.kind = e.kind AND r.key = k.value) END AS records
  FROM inventory_event e JOIN inventory_source s ON s.id = e.source_id`;

export const inventorySelects = {
  configurationManagerSites: sites,
  configurationManagerSiteEvents: siteEvents,
  configurationManagerCollections: () =>
    recordsOf(
      "collection",
      sql`r.key AS collectionId, ${identity("Comment")} AS comment, ${identity("LimitToCollectionID")} AS limitingCollectionId,
        ${identity("IsBuiltIn")} AS isBuiltIn, ${moving("MemberCount")} AS memberCount,
        (SELECT count(*) FROM inventory_membership m WHERE m.source_id = r.source_id AND m.collection_key = r.key)
          AS knownMemberCount, ${moving("LastMemberChangeTime")} AS lastMemberChangeDateTime`,
    ),
  configurationManagerApplications: () =>
    recordsOf(
      "application",
      sql`${identity("Manufacturer")} AS publisher, ${identity("SoftwareVersion")} AS softwareVersion,
        ${identity("CI_UniqueID")} AS uniqueId, ${stable("IsDeployed")} AS isDeployed, ${stable("IsEnabled")} AS isEnabled,
        ${stable("IsExpired")} AS isExpired, ${stable("IsSuperseded")} AS isSuperseded,
        ${stable("NumberOfDeployments")} AS numberOfDeployments`,
    ),
  configurationManagerDeployments: () =>
    recordsOf(
      "deployment",
      sql`${identity("CollectionID")} AS collectionId, ${identity("TargetName")} AS targetName,
        CAST(${identity("TargetID")} AS TEXT) AS targetId,
        CASE ${stable("DeploymentIntent")} WHEN 1 THEN 'required' WHEN 2 THEN 'available' WHEN 3 THEN 'simulate'
          ELSE 'unknown' END AS intent,
        ${stable("FeatureType")} AS featureType, ${stable("DeploymentTime")} AS deploymentTime`,
    ),
  configurationManagerSoftwareUpdates: () =>
    recordsOf(
      "software-update",
      sql`CAST(${identity("ArticleID")} AS TEXT) AS articleId, CAST(${identity("BulletinID")} AS TEXT) AS bulletinId,
        ${identity("CI_UniqueID")} AS uniqueId, ${stable("Severity")} AS severity, ${stable("SeverityName")} AS severityName,
        ${stable("IsDeployed")} AS isDeployed, ${stable("IsExpired")} AS isExpired, ${stable("IsSuperseded")} AS isSuperseded,
        ${stable("DatePosted")} AS datePosted, ${stable("LocalizedInformativeURL")} AS informationUrl`,
    ),
  configurationManagerScripts: () =>
    recordsOf(
      "script",
      sql`r.key AS scriptGuid, CAST(${identity("ScriptVersion")} AS TEXT) AS scriptVersion, ${identity("Author")} AS author,
        CASE CAST(${stable("ApprovalState")} AS TEXT) WHEN '0' THEN 'waiting' WHEN '1' THEN 'denied' WHEN '3' THEN 'approved'
          ELSE 'unknown' END AS approvalState,
        ${stable("Approver")} AS approver, ${stable("Comment")} AS comment, ${stable("ScriptHash")} AS hash,
        ${stable("ScriptHashAlgorithm")} AS hashAlgorithm, ${scriptParameters} AS parameters,
        ${stable("LastUpdateTime")} AS lastUpdateTime`,
    ),
  configurationManagerBoundaryGroups: () =>
    recordsOf(
      "boundary-group",
      sql`${identity("Description")} AS description, ${identity("DefaultSiteCode")} AS defaultSiteCode,
        ${stable("MemberCount")} AS memberCount, ${stable("SiteSystemCount")} AS siteSystemCount`,
    ),
};
