import { hash } from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type { Act, TunnelObject, TunnelServerAssignment } from "../core/admin-records.ts";
import { AUDIT_EVENTS } from "../core/audit-events.ts";
import { RESOURCES } from "../core/resources.ts";
import { recompileConfigurations } from "./configuration-operations.ts";
import { recordAct } from "./own-audit.ts";

const SITE_COLUMNS = Object.keys(RESOURCES.microsoftTunnelSites);
const OLDER_NAMES = ["routesInclude", "routesExclude"];
const CONFIGURATION_COLUMNS = Object.keys(RESOURCES.microsoftTunnelConfigurations).filter(
  (name) => !OLDER_NAMES.includes(name),
);
/** Own limit on what one value takes of an audit entry. */
const MAX_AUDITED_CHARACTERS = 512;
/** Own limit on the servers that one change makes configurations for, in one transaction. */
const MAX_SERVERS = 1_000;

/**
 * Writes a tunnel site whole; its servers are told. Throws `tunnel-configuration-unknown` where it names one that is not there,
 * `configuration-too-large`.
 */
function putTunnelSite(transaction: Transaction, site: TunnelObject): void {
  const configurationId = site.values["microsoftTunnelConfigurationId"] ?? null;
  if (configurationId !== null) {
    const found = transaction.get(
      "SELECT 1 FROM tunnel_configuration WHERE id = ?",
      configurationId,
    );
    if (found === undefined) {
      throw new ConnectorError(
        "tunnel-configuration-unknown",
        `There is no microsoftTunnelConfiguration ${configurationId}`,
      );
    }
  }
  upsert(transaction, "tunnel_site", SITE_COLUMNS, site);
  recordAct(transaction, site, AUDIT_EVENTS.tunnelSiteWritten, { id: site.id, ...audited(site) });
  tellServers(transaction, "s.id", site.id, site);
}

/** Throws `tunnel-site-unknown`, and `tunnel-site-in-use` while a server belongs to it. */
function deleteTunnelSite(
  transaction: Transaction,
  { id, ...act }: Act & { readonly id: string },
): void {
  if (transaction.get("SELECT 1 FROM tunnel_server WHERE site_id = ? LIMIT 1", id) !== undefined) {
    throw new ConnectorError("tunnel-site-in-use", `Tunnel servers belong to site ${id}`);
  }
  remove(transaction, "tunnel_site", id);
  recordAct(transaction, act, AUDIT_EVENTS.tunnelSiteDeleted, { id });
}

/** Writes a tunnel configuration whole; the servers of its sites are told. Throws `configuration-too-large`. */
function putTunnelConfiguration(transaction: Transaction, configuration: TunnelObject): void {
  const { id, now, values } = configuration;
  upsert(transaction, "tunnel_configuration", CONFIGURATION_COLUMNS, {
    ...configuration,
    values: { ...values, lastUpdateDateTime: now },
  });
  recordAct(transaction, configuration, AUDIT_EVENTS.tunnelConfigurationWritten, {
    id,
    ...audited(configuration),
  });
  tellServers(transaction, "s.microsoftTunnelConfigurationId", id, configuration);
}

/** Gives the servers of the sites with this value a next version of their configuration, where it changes. */
function tellServers(
  transaction: Transaction,
  column: "s.id" | "s.microsoftTunnelConfigurationId",
  value: string,
  { actor, now }: Act,
): void {
  const servers = transaction.all(
    `SELECT v.connector_id AS id FROM tunnel_server v JOIN tunnel_site s ON s.id = v.site_id
     WHERE ${column} = ? ORDER BY v.connector_id LIMIT ?`,
    value,
    MAX_SERVERS + 1,
  );
  if (servers.length > MAX_SERVERS) {
    throw new ConnectorError(
      "tunnel-server-limit",
      `More than ${MAX_SERVERS} servers have this configuration: split it among sites`,
    );
  }
  const ids = servers.map(({ id }) => String(id));
  recompileConfigurations(transaction, ids, { actor, now });
}

/** Throws `tunnel-configuration-unknown`, and `tunnel-configuration-in-use` while a site has it. */
function deleteTunnelConfiguration(
  transaction: Transaction,
  { id, ...act }: Act & { readonly id: string },
): void {
  const user = transaction.get(
    "SELECT 1 FROM tunnel_site WHERE microsoftTunnelConfigurationId = ? LIMIT 1",
    id,
  );
  if (user !== undefined) {
    throw new ConnectorError(
      "tunnel-configuration-in-use",
      `A tunnel site has configuration ${id}`,
    );
  }
  remove(transaction, "tunnel_configuration", id);
  recordAct(transaction, act, AUDIT_EVENTS.tunnelConfigurationDeleted, { id });
}

/**
 * Says to which site a tunnel server belongs, and gives it what the site says. Throws `tunnel-server-unknown`,
 * `tunnel-site-unknown`, `configuration-too-large`.
 */
function assignTunnelServer(
  transaction: Transaction,
  { id, siteId, ...act }: TunnelServerAssignment,
): void {
  const server = transaction.get(
    "SELECT 1 FROM connector WHERE id = ? AND service = 'tunnel-gateway'",
    id,
  );
  if (server === undefined) {
    throw new ConnectorError("tunnel-server-unknown", `There is no tunnel server ${id}`);
  }
  transaction.run("DELETE FROM tunnel_server WHERE connector_id = ?", id);
  if (siteId !== null) {
    if (transaction.get("SELECT 1 FROM tunnel_site WHERE id = ?", siteId) === undefined) {
      throw unknownObject("tunnel_site", siteId);
    }
    transaction.run("INSERT INTO tunnel_server (connector_id, site_id) VALUES (?, ?)", id, siteId);
  }
  recordAct(transaction, act, AUDIT_EVENTS.tunnelServerAssigned, { id, siteId });
  recompileConfigurations(transaction, [id], act);
}

/** Values as the audit has them: of a long one its hash, so that it can be told later which it was. */
function audited({ values }: TunnelObject): Readonly<Record<string, unknown>> {
  const entries = Object.entries(values).map(([name, value]) => {
    if (typeof value !== "string" || value.length <= MAX_AUDITED_CHARACTERS) return [name, value];
    return [name, { sha256: hash("sha256", value), characters: value.length }];
  });
  return Object.fromEntries(entries);
}

type TunnelTable = "tunnel_site" | "tunnel_configuration";

function upsert(
  transaction: Transaction,
  table: TunnelTable,
  columns: readonly string[],
  { id, values }: TunnelObject,
): void {
  const rest = columns.filter((column) => column !== "id");
  const updates = rest.map((column) => `${column} = excluded.${column}`);
  transaction.run(
    `INSERT INTO ${table} (id, ${rest.join(", ")}) VALUES (?${", ?".repeat(rest.length)})
     ON CONFLICT (id) DO UPDATE SET ${updates.join(", ")}`,
    id,
    ...rest.map((column) => values[column] ?? null),
  );
}

function remove(transaction: Transaction, table: TunnelTable, id: string): void {
  const { changes } = transaction.run(`DELETE FROM ${table} WHERE id = ?`, id);
  if (changes === 0) throw unknownObject(table, id);
}

function unknownObject(table: TunnelTable, id: string): ConnectorError {
  const name = table === "tunnel_site" ? "tunnel site" : "tunnel configuration";
  return new ConnectorError(`${name.replace(" ", "-")}-unknown`, `There is no ${name} ${id}`);
}

/** Microsoft Tunnel's objects, kept by the names Graph gives their properties. */
export const tunnelOperations = {
  putTunnelSite,
  deleteTunnelSite,
  putTunnelConfiguration,
  deleteTunnelConfiguration,
  assignTunnelServer,
};
