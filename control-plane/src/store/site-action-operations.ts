import { ConnectorError } from "@isthmus/shared/errors";
import { commandPayloads } from "@isthmus/shared/link/messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import { actionTitle } from "../core/action-words.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import { parseWithWords } from "../core/body-faults.ts";
import type { SiteActionRequest } from "../core/site-action-records.ts";
import { insertCommand } from "./command-operations.ts";
import { recordAct } from "./own-audit.ts";
import { checkScript, findApplication, type PinnedScript } from "./site-action-subject.ts";
import { type FoundTarget, findTarget } from "./site-action-target.ts";
import { requireLeaseHolder } from "./site-lease.ts";
import { recordTimeline } from "./timeline-operations.ts";

/** Own limit: actions of one site that have no end yet. */
export const MAX_OPEN_ACTIONS = 1_000;

/**
 * Asks for an action at a site: the command for the bridge that holds the site's lease, the action, its devices, the audit and the
 * devices' timelines, all in one transaction. Throws `site-unknown`, `device-unknown`, `collection-unknown`, `script-*`,
 * `application-unknown`, `site-unattended`, `site-actions-limit`, `idempotency-key-reused`.
 */
function requestSiteAction(transaction: Transaction, asked: SiteActionRequest) {
  const before = repeated(transaction, asked);
  if (before !== undefined) return { id: before, isRepeated: true };
  const found = findTarget(transaction, asked.target);
  const subject = subjectOf(transaction, found, asked);
  const request = subject === undefined ? asked : { ...asked, subject: subject.key };
  const connectorId = requireLeaseHolder(transaction, found.site, request.now);
  requireRoom(transaction, found);
  const payload = payloadFor(found, request, subject);
  insertCommand(transaction, {
    id: request.commandId,
    connectorId,
    kind: request.kind,
    payload,
    actor: request.actor,
    now: request.now,
    notBefore: request.now,
    expiresAt: request.expiresAt,
  });
  const details = { ...request.details, ...subject?.details };
  insertAction(transaction, request, { found, connectorId, details });
  tell(transaction, request, found, details);
  return { id: request.id, isRepeated: false };
}

/** The action that the same person asked for under the same key before. */
function repeated(transaction: Transaction, request: SiteActionRequest): string | undefined {
  if (request.requestKey === undefined) return undefined;
  const row = transaction.get(
    "SELECT id, request_hash FROM site_action WHERE actor = ? AND request_key = ?",
    request.actor,
    request.requestKey,
  );
  if (row === undefined) return undefined;
  if (row["request_hash"] === request.requestHash) return String(row["id"]);
  throw new ConnectorError(
    "idempotency-key-reused",
    "This Idempotency-Key stands for another request; give each request a key of its own",
  );
}

function requireRoom(transaction: Transaction, { site }: FoundTarget): void {
  const row = transaction.get(
    "SELECT count(*) AS n FROM site_action WHERE source_id = ? AND ended_at IS NULL",
    site.id,
  );
  if (Number(row?.["n"]) < MAX_OPEN_ACTIONS) return;
  throw new ConnectorError(
    "site-actions-limit",
    `${site.name} has ${MAX_OPEN_ACTIONS} actions without an end; wait, or cancel some`,
  );
}

interface Subject {
  /** Its key at the site, however it was named. */
  readonly key: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Scripts and applications are looked up in the inventory before anything is asked of the bridge. */
function subjectOf(
  transaction: Transaction,
  { site }: FoundTarget,
  { kind, payload }: SiteActionRequest,
): Subject | undefined {
  if (kind === "site.script") {
    const pinned = payload as unknown as PinnedScript;
    const { name, scriptGuid } = checkScript(transaction, site, pinned);
    return { key: scriptGuid, payload: { scriptGuid }, details: { scriptName: name } };
  }
  if (kind === "site.application") {
    const wanted = String(payload["applicationId"]);
    const { name, key, applicationId } = findApplication(transaction, site, wanted);
    return { key, payload: { applicationId }, details: { applicationName: name } };
  }
  return undefined;
}

function payloadFor(found: FoundTarget, request: SiteActionRequest, subject: Subject | undefined) {
  const { kind } = request;
  const payload = { source: found.site.name, ...request.payload, ...subject?.payload };
  const schema = commandPayloads[kind];
  return parseWithWords<unknown>(schema, { ...payload, ...aimOf(found, kind) });
}

function aimOf({ target }: FoundTarget, kind: SiteActionRequest["kind"]): object {
  const resourceIds = target.kind === "devices" ? target.resourceIds : [];
  switch (kind) {
    case "site.recovery-key":
    case "site.custom-properties":
      return { resourceId: resourceIds[0] };
    case "site.refresh":
      return { resourceIds };
    case "site.notify":
    case "site.script":
    case "site.query":
    case "site.application":
      return { target };
    case "site.cancel":
      return {};
  }
}

function insertAction(
  transaction: Transaction,
  request: SiteActionRequest,
  of: { readonly found: FoundTarget; readonly connectorId: string; readonly details: object },
): void {
  const { site, target, devices } = of.found;
  const [only] = devices.length === 1 ? devices : [];
  transaction.run(
    `INSERT INTO site_action (id, source_id, command_id, connector_id, kind, action, subject, target, record_id, details,
       actor, requested_at, expires_at, state, state_at, heard_at, request_key, request_hash)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?)`,
    request.id,
    site.id,
    request.commandId,
    of.connectorId,
    request.kind,
    request.action,
    request.subject ?? null,
    JSON.stringify(target),
    only?.recordId ?? null,
    JSON.stringify(of.details),
    request.actor,
    request.now,
    request.expiresAt,
    request.now,
    request.now,
    request.requestKey ?? null,
    request.requestHash,
  );
  for (const { key, recordId } of devices) {
    transaction.run(
      `INSERT INTO device_action (action_id, key, record_id, state, state_at, requested_at)
       VALUES (?, ?, ?, 'queued', ?, ?) ON CONFLICT DO NOTHING`,
      request.id,
      key,
      recordId,
      request.now,
      request.now,
    );
  }
  if (request.revealKey !== undefined) {
    transaction.run(
      "INSERT INTO recovery_key_reveal (action_id, public_key) VALUES (?, ?)",
      request.id,
      request.revealKey,
    );
  }
}

/** Writes the request to the audit and to the timelines of the devices that were named. */
function tell(
  transaction: Transaction,
  request: SiteActionRequest,
  { site, target, devices }: FoundTarget,
  details: object,
): void {
  const { id, commandId, action, subject, actor, now } = request;
  const isKey = request.kind === "site.recovery-key";
  const event = isKey ? AUDIT_EVENTS.recoveryKeyRequested : AUDIT_EVENTS.siteActionRequested;
  const told = { id, commandId, source: site.name, action, subject, target, ...details };
  recordAct(transaction, request, event, told);
  for (const { recordId } of new Map(devices.map((each) => [each.key, each])).values()) {
    recordTimeline(transaction, {
      recordId,
      at: now,
      now,
      kind: "action.requested",
      actor,
      title: `${actionTitle(action, details)} asked for`,
      detail: { actionId: id, action, subject, ...details },
    });
  }
}

/** The row of an action of a site. Throws `site-action-unknown`. */
export function actionOfSite(
  transaction: Transaction,
  { id, source }: { readonly id: string; readonly source: string },
): Row {
  const row = transaction.get(
    `SELECT a.*, s.name AS source FROM site_action a JOIN inventory_source s ON s.id = a.source_id
     WHERE a.id = ? AND s.name = ?`,
    id,
    source,
  );
  if (row !== undefined) return row;
  const message = `${source.slice(0, 64)} has no action ${id.slice(0, 64)}`;
  throw new ConnectorError("site-action-unknown", message);
}

/** Actions as administrators ask for them. */
export const siteActionOperations = { requestSiteAction };
