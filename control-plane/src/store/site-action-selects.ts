import { sql } from "kysely";

/** Actions at sites and their devices; properties: core/site-action-resources.ts. */

const COLLECTION = sql`inventory_record
      WHERE source_id = a.source_id AND kind = 'collection' AND key = a.target ->> '$.collectionId'`;

/** Ids as lists have them, beside those of the site, and the name of the collection or of the first device. */
const target = sql`
  CASE a.target ->> '$.kind'
    WHEN 'devices' THEN json_set(a.target, '$.managedDeviceIds', json((SELECT json_group_array(printf(
        '00000000-0000-4000-8000-%012x', record_id))
      FROM (SELECT record_id FROM device_action WHERE action_id = a.id AND record_id IS NOT NULL ORDER BY key))),
      '$.displayName', (SELECT r.name FROM device_action d JOIN inventory_record r ON r.id = d.record_id
      WHERE d.action_id = a.id ORDER BY d.key LIMIT 1))
    WHEN 'collection' THEN json_set(a.target, '$.id', (SELECT printf('00000000-0000-4000-8000-%012x', id) FROM ${COLLECTION}),
      '$.displayName', (SELECT name FROM ${COLLECTION}))
    ELSE a.target END`;

const subjectId = sql`
  CASE WHEN a.kind IN ('site.script', 'site.application') THEN (SELECT id FROM inventory_record
    WHERE source_id = a.source_id AND kind = substr(a.kind, length('site.') + 1) AND key = a.subject) END`;

const operations = () => sql`
  SELECT a.id, (SELECT name FROM inventory_source WHERE id = a.source_id) AS configurationManagerSite,
    substr(a.kind, length('site.') + 1) AS kind, a.action, a.subject, ${subjectId} AS subjectId,
    ${target} AS target, a.details, a.record_id AS managedDeviceId,
    a.actor, a.state, a.reason, a.requested_at AS createdDateTime, a.expires_at AS expirationDateTime,
    a.state_at AS stateDateTime, a.ended_at AS endedDateTime, a.connector_id AS connectorId, a.command_id AS commandId,
    a.operation_id AS operationId, a.expected_devices AS expectedDeviceCount,
    (SELECT json_group_object(state, n) FROM
      (SELECT state, count(*) AS n FROM device_action WHERE action_id = a.id GROUP BY state)) AS deviceCounts,
    (SELECT json_group_object(state, n) FROM (SELECT s.key AS state, sum(s.value) AS n
      FROM json_each(coalesce(a.site_counts, '{}')) o, json_each(o.value) s GROUP BY s.key)) AS reportedDeviceCounts,
    a.rows_kept AS rowCount, a.is_truncated AS isTruncated,
    a.result_bytes >= 0 AS areResultsKept
  FROM site_action a`;

const deviceColumns = sql`
  d.action_id || '.' || d.key AS id, d.action_id AS clientOperationId,
  (SELECT name FROM inventory_source WHERE id = a.source_id) AS configurationManagerSite, a.action,
  a.actor, d.key AS resourceId, d.record_id AS managedDeviceId,
  (SELECT name FROM inventory_record WHERE id = d.record_id) AS deviceName, d.state, d.reason, d.error_code AS errorCode,
  d.rows_kept AS rowCount, d.is_truncated AS isTruncated, d.requested_at AS createdDateTime, d.state_at AS stateDateTime`;

export const siteActionSelects = {
  configurationManagerClientOperations: operations,
  configurationManagerDeviceStates: () =>
    sql`SELECT ${deviceColumns} FROM device_action d JOIN site_action a ON a.id = d.action_id`,
  configurationManagerScriptResults: () => sql`
    SELECT ${deviceColumns}, d.exit_code AS exitCode, d.output
    FROM device_action d JOIN site_action a ON a.id = d.action_id AND a.kind = 'site.script'`,
};
