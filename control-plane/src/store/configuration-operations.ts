import { ConnectorError } from "@isthmus/shared/errors";
import type { Service } from "@isthmus/shared/link/messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { Act, NewConfiguration, UnsignedConfiguration } from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import { serviceOf } from "./connector-service.ts";
import { recordAct } from "./own-audit.ts";
import { compiledWithSite } from "./tunnel-site-values.ts";

/** Our own limits. */
/** Versions of a connector's configuration that are kept. */
const KEPT_CONFIGURATIONS = 50;

/** Stores the next version of a connector's configuration, unsigned. Throws `connector-unknown`, `configuration-conflict`. */
function writeConfiguration(
  transaction: Transaction,
  written: NewConfiguration,
): { readonly version: number } {
  const { connectorId, configuration, ifVersion } = written;
  serviceOf(transaction, connectorId);
  const row = transaction.get(
    `SELECT max(d.version, c.configuration_version_applied) AS version FROM connector c LEFT JOIN
       (SELECT coalesce(max(version), 0) AS version FROM desired_configuration WHERE connector_id = ?) d
     WHERE c.id = ?`,
    connectorId,
    connectorId,
  );
  const present = Number(row?.["version"] ?? 0);
  if (ifVersion !== undefined && ifVersion !== present) {
    throw new ConnectorError(
      "configuration-conflict",
      `The newest version is ${present}, not ${ifVersion}: read it and apply your change to it`,
    );
  }
  const body = JSON.stringify(configuration);
  const compiled = compiledWithSite(transaction, connectorId, body);
  const version = present + 1;
  insertVersion(transaction, { connectorId, version, body, compiled }, written);
  return { version };
}

/**
 * Gives connectors of tunnel sites a next version with the same document of their own, wherever what their site says has
 * changed what they are to be sent. One without a document of its own has nobody whom the site could say something about,
 * and gets none. For use inside other operations.
 */
export function recompileConfigurations(
  transaction: Transaction,
  connectorIds: readonly string[],
  act: Act,
): void {
  for (const connectorId of connectorIds) {
    const newest = transaction.get(
      `SELECT d.version, d.body, d.compiled, c.configuration_version_applied AS applied
       FROM desired_configuration d JOIN connector c ON c.id = d.connector_id
       WHERE d.connector_id = ? ORDER BY d.version DESC LIMIT 1`,
      connectorId,
    );
    if (newest === undefined) continue;
    const body = String(newest["body"]);
    const compiled = compiledWithSite(transaction, connectorId, body);
    if (compiled === newest["compiled"]) continue;
    const version = 1 + Math.max(Number(newest["version"]), Number(newest["applied"]));
    insertVersion(transaction, { connectorId, version, body, compiled }, act);
  }
}

interface Version {
  readonly connectorId: string;
  readonly version: number;
  readonly body: string;
  readonly compiled: string | null;
}

function insertVersion(
  transaction: Transaction,
  { connectorId, version, body, compiled }: Version,
  act: Act,
): void {
  transaction.run(
    `INSERT INTO desired_configuration (connector_id, version, body, compiled, created_at)
     VALUES (?, ?, ?, ?, ?)`,
    connectorId,
    version,
    body,
    compiled,
    act.now,
  );
  transaction.run(
    "DELETE FROM desired_configuration WHERE connector_id = ? AND version <= ?",
    connectorId,
    version - KEPT_CONFIGURATIONS,
  );
  recordAct(transaction, act, AUDIT_EVENTS.configurationWritten, { connectorId, version });
}

function takeUnsignedConfigurations(
  transaction: Transaction,
  { limit }: { readonly limit: number },
): UnsignedConfiguration[] {
  const rows = transaction.all(
    `SELECT d.*, c.service FROM desired_configuration d JOIN connector c ON c.id = d.connector_id
     WHERE d.jws IS NULL ORDER BY d.created_at LIMIT ?`,
    limit,
  );
  return rows.map((row) => ({
    connectorId: String(row["connector_id"]),
    version: Number(row["version"]),
    service: String(row["service"]) as Service,
    configuration: JSON.parse(String(row["compiled"] ?? row["body"])),
    issuedAt: Number(row["created_at"]),
  }));
}

function storeConfigurationSignature(
  transaction: Transaction,
  { connectorId, version, jws }: { connectorId: string; version: number; jws: string },
): void {
  transaction.run(
    "UPDATE desired_configuration SET jws = ? WHERE connector_id = ? AND version = ?",
    jws,
    connectorId,
    version,
  );
}

/** Gives a configuration the next free version, where another had been signed as this one before a restored backup. */
function renumberConfiguration(
  transaction: Transaction,
  { connectorId, version }: { readonly connectorId: string; readonly version: number },
): void {
  transaction.run(
    `UPDATE desired_configuration SET version = 1 +
       (SELECT max(version) FROM desired_configuration WHERE connector_id = ?)
     WHERE connector_id = ? AND version = ? AND jws IS NULL`,
    connectorId,
    connectorId,
    version,
  );
}

/** Desired configurations of connectors, from being written to being signed. */
export const configurationOperations = {
  writeConfiguration,
  takeUnsignedConfigurations,
  storeConfigurationSignature,
  renumberConfiguration,
};
