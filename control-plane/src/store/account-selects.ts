import { type RawBuilder, sql } from "kysely";
import { factIn } from "./facet-fact.ts";

/** Users and groups: what a domain and a site tell of the same account is one entity. Properties: core/co-management-resources.ts. */

type Sql = RawBuilder<unknown>;

/** Own limit: records whose SIDs end alike, oldest first. A source that has one SID for all of its users would make each list as long as their square. */
const MAX_ALIKE = 128;

const alike = (record: Sql) => sql`
  (SELECT id, source_id, kind, sid, deleted_at FROM inventory_record
    WHERE sid IS NOT NULL AND substr(sid, -6) COLLATE NOCASE = substr(${record}.sid, -6)
    ORDER BY rowid LIMIT ${sql.lit(MAX_ALIKE)})`;

/**
 * The record of the same account in a source of another type, the first where there are several: both have its SID, and names never join
 * anything.
 */
const twinOf = (record: Sql, type: "active-directory" | "configmgr") => sql`
  (SELECT o.id FROM ${alike(record)} o CROSS JOIN inventory_source os
    WHERE o.sid = ${record}.sid AND o.kind = ${record}.kind AND o.deleted_at IS NULL AND os.id = o.source_id AND os.type = ${sql.lit(type)}
    ORDER BY o.id LIMIT 1)`;

const typeOf = (record: Sql) =>
  sql`(SELECT type FROM inventory_source WHERE id = ${record}.source_id)`;

/** Stands below the site's record, which finds it in turn. */
const isFolded = (record: Sql) =>
  sql`(${typeOf(record)} = 'active-directory' AND ${record}.id IN (SELECT id FROM ${alike(record)})
    AND ${twinOf(record, "configmgr")} IS NOT NULL)`;

/** A fact that a domain has (`a`), else the record itself (`d`), under its domain's name for it or its site's. */
const fact = (facet: "identity" | "stable", ofDomain: string, ofSite: string) => sql`
  coalesce(${factIn(sql.ref(`a.${facet}`), `$.${ofDomain}`)}, ${factIn(sql.ref(`d.${facet}`), `$.${ofDomain}`)},
    ${factIn(sql.ref(`d.${facet}`), `$.${ofSite}`)})`;

const ofDomain = (name: string) => fact("stable", name, name);

const users = () => sql`
  SELECT r.id, r.name AS displayName, (SELECT name FROM inventory_source WHERE id = r.source_id) AS configurationManagerSite,
    r.key, r.first_seen_at AS firstSeenDateTime, r.changed_at AS lastModifiedDateTime,
    coalesce(t.user_principal_name, r.user_principal_name) AS userPrincipalName,
    coalesce(${factIn(sql`d.identity`, "$.UniqueUserName")}, ${factIn(sql`d.identity`, "$.UserName")},
      ${fact("identity", "sAMAccountName", "Name")}) AS userName,
    ${fact("identity", "mail", "Mail")} AS mail, r.sid AS securityIdentifier,
    ${factIn(sql`d.identity`, "$.AADUserID")} AS azureADUserId, r.domain,
    d.stable -> '$.SecurityGroupName' AS groups,
    ${ofDomain("isEnabled")} AS accountEnabled, ${ofDomain("department")} AS department, ${ofDomain("title")} AS jobTitle,
    ${ofDomain("company")} AS companyName,
    CASE WHEN ${typeOf(sql`r`)} = 'active-directory' THEN r.id ELSE t.id END AS directoryRecordId,
    (SELECT name FROM inventory_source WHERE type = 'active-directory' AND id IN (r.source_id, t.source_id)) AS directory
  FROM inventory_record r
    LEFT JOIN inventory_document d ON d.record_id = r.id
    LEFT JOIN inventory_record t ON t.id = CASE ${typeOf(sql`r`)} WHEN 'configmgr' THEN ${twinOf(sql`r`, "active-directory")} END
    LEFT JOIN inventory_document a ON a.record_id = t.id
  WHERE r.kind = 'user' AND r.deleted_at IS NULL AND NOT ${isFolded(sql`r`)}`;

const groups = () => sql`
  SELECT r.id, r.name AS displayName, (SELECT name FROM inventory_source WHERE id = r.source_id) AS configurationManagerSite,
    r.key, r.first_seen_at AS firstSeenDateTime, r.changed_at AS lastModifiedDateTime, r.sid AS securityIdentifier, r.domain,
    ${factIn(sql`d.identity`, "$.mail")} AS mail, ${factIn(sql`d.others`, "$.members.count")} AS memberCount,
    d.stable AS details
  FROM inventory_record r LEFT JOIN inventory_document d ON d.record_id = r.id
  WHERE r.kind = 'group' AND r.deleted_at IS NULL`;

/** Of the same domain, by the GUIDs that the group has; each as the entity that it is listed as. Others are left out: they are not read. */
const groupMembers = () => sql`
  SELECT coalesce(CASE ${typeOf(sql`m`)} WHEN 'active-directory' THEN ${twinOf(sql`m`, "configmgr")} END, m.id) AS id,
    f.record_id AS groupRecordId, m.kind AS memberType, m.name AS displayName, m.sid AS securityIdentifier,
    m.user_principal_name AS userPrincipalName, ${factIn(sql`d.identity`, "$.mail")} AS mail, m.id AS directoryRecordId,
    (SELECT name FROM inventory_source WHERE id = m.source_id) AS directory, m.key AS directoryKey,
    (SELECT s.name FROM inventory_record o JOIN inventory_source s ON s.id = o.source_id
      WHERE o.id = ${twinOf(sql`m`, "configmgr")} AND ${typeOf(sql`m`)} = 'active-directory') AS configurationManagerSite
  FROM inventory_facet f CROSS JOIN inventory_record g CROSS JOIN json_each(f.value, '$.members') j
    CROSS JOIN inventory_record m LEFT JOIN inventory_document d ON d.record_id = m.id
  WHERE f.facet = 'members' AND g.id = f.record_id AND g.kind = 'group' AND g.deleted_at IS NULL
    AND json_type(f.value, '$.members') = 'array'
    AND m.source_id = g.source_id AND m.kind IN ('user', 'device', 'group') AND m.key = j.value AND m.deleted_at IS NULL`;

export const accountSelects = {
  configurationManagerUsers: users,
  configurationManagerGroups: groups,
  configurationManagerGroupMembers: groupMembers,
};
