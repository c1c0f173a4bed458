import { ConnectorError } from "@isthmus/shared/errors";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import { type ActionSite, recordNamed } from "./site-action-target.ts";

/** What an action is done with, a script or an application, as the site's inventory has it. For use inside other operations. */

type Fields = Readonly<Record<string, unknown>>;

/** The script that a caller has looked at. */
export interface PinnedScript {
  readonly scriptGuid: string;
  readonly version: string;
  /** Lower-case hex. */
  readonly sha256: string;
}

const APPROVED = 3;

/**
 * The name of a script that may run by what is known of it here. The bridge asks the site again. Throws `script-unknown`,
 * `script-not-approved`, `script-self-approved`, `script-changed`.
 */
export function checkScript(transaction: Transaction, site: ActionSite, pinned: PinnedScript) {
  const { scriptGuid } = pinned;
  const record = [scriptGuid, scriptGuid.toUpperCase(), scriptGuid.toLowerCase()]
    .map((key) => recordNamed(transaction, site, "script", key))
    .find((row) => row !== undefined);
  if (record === undefined) {
    throw new ConnectorError("script-unknown", `${site.name} has no script ${scriptGuid}`);
  }
  const script = fieldsOf(transaction, record);
  const name = String(script["ScriptName"] ?? record["name"] ?? scriptGuid);
  if (Number(script["ApprovalState"]) !== APPROVED) {
    throw new ConnectorError("script-not-approved", `Script ${name} is not approved at the site`);
  }
  const [author, approver] = [script["Author"], script["Approver"]].map(person);
  if (approver === undefined || author === approver) {
    const message = `Script ${name} was approved by its author ${author ?? ""}; another person has to`;
    throw new ConnectorError("script-self-approved", message);
  }
  const [version, hash] = [script["ScriptVersion"], script["ScriptHash"]].map((value) =>
    String(value ?? ""),
  );
  if (version !== pinned.version || hash?.toLowerCase() !== pinned.sha256) {
    const message = `Script ${name} has version ${version} and SHA-256 ${hash?.toLowerCase()} now: look at it and name those`;
    throw new ConnectorError("script-changed", message);
  }
  return { scriptGuid: String(record["key"]), name };
}

/** Names are compared as Windows does. */
function person(value: unknown): string | undefined {
  const name = typeof value === "string" ? value.trim().toLowerCase() : "";
  return name === "" ? undefined : name;
}

const GUID = /[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}/;

/** An application by the key of its record, the GUID of that, or the GUID that it is installed by. Throws `application-unknown`. */
export function findApplication(transaction: Transaction, site: ActionSite, id: string) {
  const record =
    recordNamed(transaction, site, "application", id) ?? applicationWithGuid(transaction, site, id);
  const guid = record && guidOf(fieldsOf(transaction, record), String(record["key"]));
  if (record === undefined || guid === undefined) {
    throw new ConnectorError(
      "application-unknown",
      `${site.name} has no application ${id.slice(0, 256)}`,
    );
  }
  return { applicationId: guid, key: String(record["key"]), name: String(record["name"] ?? guid) };
}

/** A site has some thousand applications, and what stands in a facet is seldom asked for. */
function applicationWithGuid(
  transaction: Transaction,
  site: ActionSite,
  id: string,
): Row | undefined {
  if (GUID.exec(id)?.[0] !== id) return undefined;
  return transaction.get(
    `SELECT r.id, r.key, r.name FROM inventory_record r JOIN inventory_facet f ON f.record_id = r.id
     WHERE r.source_id = ? AND r.kind = 'application' AND r.deleted_at IS NULL AND f.facet IN ('identity', 'stable')
       AND instr(lower(f.value), lower(?)) > 0 LIMIT 1`,
    site.id,
    id,
  );
}

/** `CI_UniqueID` is `ScopeId_.../Application_<GUID>/<revision>`; a plain GUID is itself. */
function guidOf(fields: Fields, key: string): string | undefined {
  for (const value of [fields["CIGUID"], fields["ModelName"], fields["CI_UniqueID"], key]) {
    const text = String(value ?? "");
    const guid = /Application_([0-9A-Fa-f-]{36})/.exec(text)?.[1] ?? text;
    if (GUID.exec(guid)?.[0] === guid) return guid;
  }
  return undefined;
}

function fieldsOf(transaction: Transaction, record: Row): Fields {
  const facets = transaction.all(
    "SELECT value FROM inventory_facet WHERE record_id = ? AND facet IN ('identity', 'stable') ORDER BY facet LIMIT 2",
    Number(record["id"]),
  );
  return Object.assign({}, ...facets.map(({ value }) => JSON.parse(String(value))));
}
