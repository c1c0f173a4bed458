import { sql } from "kysely";

/** Actions at sites and their devices; properties: core/site-action-resources.ts. */

const operations = () => sql`
  SELECT a.id, (SELECT name FROM inventory_source WHERE id = a.source_id) AS configurationManagerSite,
    substr(a.kind, length('site.') + 1) AS kind, a.action, a.subject, a.target, a.details, a.record_id AS managedDeviceId,
    a.actor, a.state, a.reason, a.requested_at AS createdDateTime, a.expires_at AS expirationDateTime,
    a.state_at AS stateDateTime, a.ended_at AS endedDateTime, a.connector_id AS connectorId, a.command_id AS commandId,
    a.operation_id AS operationId, a.expected_devices AS expectedDeviceCount,
    (SELECT json_group_object(state, n) FROM
      (SELECT state, count(*) AS n FROM device_action WHERE action_id = a.id GROUP BY state)) AS deviceCounts,
    a.rows_kept AS rowCount, a.is_truncated AS isTruncated,
    a.result_bytes >= 0 AS areResultsKept
  FROM site_action a`;

const deviceColumns = sql`
  d.action_id || '.' || d.key AS id, d.action_id AS clientOperationId,
  (SELECT name FROM inventory_source WHERE id = a.source_id) AS configurationManagerSite, a.action,
  d.key AS resourceId, d.record_id AS managedDeviceId,
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
