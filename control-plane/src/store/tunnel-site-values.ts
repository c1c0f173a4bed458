import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import { requireConfigurationFits } from "../core/configuration-size.ts";
import { type TunnelSiteValues, withSiteVpn } from "../core/tunnel-site-vpn.ts";

/**
 * What a connector is sent where its tunnel site adds to its own document, as JSON; null where nothing is added. For use inside
 * other operations. Throws `configuration-too-large`.
 */
export function compiledWithSite(
  transaction: Transaction,
  connectorId: string,
  body: string,
): string | null {
  const row = transaction.get(
    `SELECT t.*, s.internalNetworkProbeUrl FROM tunnel_server v JOIN tunnel_site s ON s.id = v.site_id
       LEFT JOIN tunnel_configuration t ON t.id = s.microsoftTunnelConfigurationId
     WHERE v.connector_id = ?`,
    connectorId,
  );
  if (row === undefined) return null;
  const compiled = JSON.stringify(withSiteVpn(JSON.parse(body), siteValues(row)));
  if (compiled === body) return null;
  requireConfigurationFits(compiled, `The configuration of ${connectorId} with that of its site`);
  return compiled;
}

/** A site without a configuration says nothing beyond its own probe. */
function siteValues(row: Row): TunnelSiteValues {
  const list = (name: string) => JSON.parse(String(row[name] ?? "[]"));
  const text = (name: string) => (row[name] === null ? null : String(row[name]));
  return {
    dnsServers: list("dnsServers"),
    defaultDomainSuffix: text("defaultDomainSuffix"),
    routeIncludes: list("routeIncludes"),
    routeExcludes: list("routeExcludes"),
    splitDNS: list("splitDNS"),
    advancedSettings: list("advancedSettings"),
    disableUdpConnections: row["disableUdpConnections"] === 1,
    internalNetworkProbeUrl: text("internalNetworkProbeUrl"),
  };
}
