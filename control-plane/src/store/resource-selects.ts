import { sql } from "kysely";
import type { ResourceName } from "../core/resources.ts";
import { TUNNEL_METRICS } from "../core/tunnel-metrics.ts";
import { accountSelects } from "./account-selects.ts";
import { coManagementSelects } from "./co-management-selects.ts";
import { inventorySelects } from "./inventory-selects.ts";
import type { ResourceArm, ResourceSelect } from "./resource-arm.ts";
import { siteActionSelects } from "./site-action-selects.ts";

/** The places that rows of a resource come from. `now` is ms. */
export function armsOf(resource: ResourceName, now: number): readonly ResourceArm[] {
  const select = resourceSelects[resource](now);
  return Array.isArray(select) ? select : [{ select: select as ResourceSelect }];
}

/** For each resource the SELECT, or several, whose columns are the properties of `core/resources.ts`. */
const resourceSelects: Readonly<
  Record<ResourceName, (now: number) => ResourceSelect | readonly ResourceArm[]>
> = {
  ...accountSelects,
  ...coManagementSelects,
  ...inventorySelects,
  ...siteActionSelects,

  connectors: () => sql`
    SELECT c.id, c.service, c.display_name AS displayName,
      CASE WHEN c.disabled_at IS NOT NULL THEN 'disabled'
           WHEN c.quarantined_at IS NOT NULL THEN 'quarantined'
           WHEN c.connected_at IS NOT NULL THEN 'connected' ELSE 'disconnected' END AS status,
      c.connected_at IS NOT NULL AS isConnected, c.created_at AS createdDateTime,
      c.connected_at AS connectedDateTime, c.last_seen_at AS lastSeenDateTime, c.clock_offset_ms AS clockOffsetMs,
      (SELECT coalesce(max(version), 0) FROM desired_configuration d WHERE d.connector_id = c.id)
        AS configurationVersion,
      c.configuration_version_applied AS configurationVersionApplied, c.configuration_error AS configurationError,
      c.quarantined_at AS quarantinedDateTime, c.quarantine_reason AS quarantineReason,
      c.disabled_at AS disabledDateTime, h.snapshot AS health, h.received_at AS healthDateTime
    FROM connector c LEFT JOIN connector_health h ON h.connector_id = c.id`,

  enrolmentTokens: () => sql`
    SELECT secret_hash AS id, service, display_name AS displayName, created_at AS createdDateTime,
      expires_at AS expirationDateTime, used_at AS usedDateTime, connector_id AS connectorId
    FROM enrolment_token`,

  microsoftTunnelSites: () => sql`SELECT * FROM tunnel_site`,

  microsoftTunnelConfigurations: () => sql`
    SELECT *, routeIncludes AS routesInclude, routeExcludes AS routesExclude FROM tunnel_configuration`,

  microsoftTunnelServers: () => sql`
    SELECT c.id, c.display_name AS displayName, coalesce(t.status, 'unknown') AS tunnelServerHealthStatus,
      c.last_seen_at AS lastCheckinDateTime, NULL AS agentImageDigest, NULL AS serverImageDigest,
      'standaloneRootless' AS deploymentMode, s.site_id AS microsoftTunnelSiteId,
      h.snapshot ->> 'version' AS serverVersion, t.details AS healthDetails
    FROM connector c LEFT JOIN connector_health h ON h.connector_id = c.id
      LEFT JOIN tunnel_server s ON s.connector_id = c.id
      LEFT JOIN tunnel_server_health t ON t.connector_id = c.id
    WHERE c.service = 'tunnel-gateway'`,

  microsoftTunnelHealthThresholds: () => sql`
    SELECT m.key AS id, coalesce(t.healthy, m.value ->> 'healthy') AS healthyThreshold,
      coalesce(t.unhealthy, m.value ->> 'unhealthy') AS unhealthyThreshold,
      m.value ->> 'healthy' AS defaultHealthyThreshold, m.value ->> 'unhealthy' AS defaultUnhealthyThreshold,
      m.value ->> 'unit' AS unit
    FROM json_each(${JSON.stringify(TUNNEL_METRICS)}) m LEFT JOIN tunnel_health_threshold t ON t.id = m.key`,

  certificateProfiles: () => sql`
    SELECT c.id || '.' || (p.value ->> 'id') AS id, p.value ->> 'id' AS profileId, c.id AS connectorId,
      c.display_name AS connectorDisplayName, d.version AS configurationVersion, p.value AS profile
    FROM connector c
      JOIN desired_configuration d ON d.connector_id = c.id AND d.version =
        (SELECT max(version) FROM desired_configuration WHERE connector_id = c.id)
      JOIN json_each(d.body, '$.profiles') p
    WHERE c.service = 'cert-connector' AND json_type(p.value) = 'object' AND p.value ->> 'id' IS NOT NULL`,

  issuedCertificates: () => sql`
    SELECT i.connector_id || '.' || i.serial_number AS id, i.serial_number AS serialNumber, i.issuer, i.subject,
      i.thumbprint, i.connector_id AS connectorId, i.transaction_id AS transactionId, i.profile_id AS profileId,
      i.device_id AS managedDeviceId, i.user_principal_name AS userPrincipalName,
      i.not_before AS notBeforeDateTime, i.not_after AS notAfterDateTime, i.issued_at AS issuedDateTime,
      CASE WHEN i.revoked_at IS NOT NULL THEN 'revoked'
           WHEN EXISTS (SELECT 1 FROM revocation_request r JOIN command m ON m.id = r.command_id
             WHERE r.serial_number = i.serial_number AND r.issuer = i.issuer
               AND m.state IN ('queued', 'sent', 'accepted', 'running')) THEN 'revocationPending'
           ELSE 'issued' END AS state,
      i.revoked_at AS revokedDateTime, i.revocation_reason AS revocationReason
    FROM issued_certificate i`,

  userPfxCertificates: () => sql`
    SELECT id, thumbprint, intended_purpose AS intendedPurpose, user_principal_name AS userPrincipalName,
      starts_at AS startDateTime, expires_at AS expirationDateTime, provider_name AS providerName,
      key_name AS keyName, padding_scheme AS paddingScheme, '' AS encryptedPfxBlob, '' AS encryptedPfxPassword,
      created_at AS createdDateTime, modified_at AS lastModifiedDateTime
    FROM user_pfx_certificate`,

  certificateDeliveries: () => sql`
    SELECT id, request_id AS requestId, device_id AS managedDeviceId, connector_id AS connectorId, kind,
      serial_number AS serialNumber, thumbprint, recipient_thumbprint AS recipientThumbprint,
      not_after AS notAfterDateTime, received_at AS createdDateTime, envelope
    FROM certificate_delivery`,

  issuanceFailures: () => sql`
    SELECT connector_id || '.' || transaction_id || '.' || at AS id, connector_id AS connectorId,
      transaction_id AS transactionId, at AS failedDateTime, profile_id AS profileId, device_id AS managedDeviceId,
      user_principal_name AS userPrincipalName, code, message
    FROM issuance_failure`,

  commands: () => sql`
    SELECT id, connector_id AS connectorId, kind, seq AS sequenceNumber, state, actor,
      json_remove(body, '$.pfx.encryptedPfxBlob', '$.pfx.encryptedPfxPassword', '$.parameters') AS payload,
      created_at AS createdDateTime, not_before AS notBeforeDateTime, expires_at AS expirationDateTime,
      state_at AS stateDateTime, result, error
    FROM command`,

  scepChallenges: () => sql`
    SELECT id, connector_id AS connectorId, profile_id AS profileId, device_id AS managedDeviceId,
      user_principal_name AS userPrincipalName, subject, subject_alt_names AS subjectAltNames,
      created_at AS createdDateTime, expires_at AS expirationDateTime, actor
    FROM scep_challenge`,

  desiredConfigurations: () => sql`
    SELECT d.connector_id || '.' || d.version AS id, d.connector_id AS connectorId, d.version,
      d.jws IS NOT NULL AS isSigned, c.configuration_version_applied = d.version AS isApplied,
      d.created_at AS createdDateTime, d.body AS configuration, d.compiled AS effectiveConfiguration
    FROM desired_configuration d JOIN connector c ON c.id = d.connector_id`,

  auditEvents: () => sql`
    SELECT 'control-plane.' || idx AS id, 'control-plane' AS source, idx AS "index", at AS activityDateTime,
      event AS activity, payload ->> 'actor' AS actor, hash, previous_hash AS previousHash, payload AS details
    FROM audit_journal
    UNION ALL
    SELECT connector_id || '.' || idx || '.' || substr(hash, 1, 16), connector_id, idx, at, event, NULL, hash,
      previous_hash, payload
    FROM audit_entry`,

  administrators: () => sql`
    SELECT id, user_name AS userName, roles, created_at AS createdDateTime, password_at AS passwordDateTime,
      disabled_at AS disabledDateTime, last_sign_in_at AS lastSignInDateTime
    FROM administrator`,
};
