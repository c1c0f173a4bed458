import type { SessionTable } from "../core/vpn/session-table.ts";
import type { TunnelSlice } from "../core/vpn/tunnel-slices.ts";
import type { VpnParts } from "../core/vpn/vpn-service.ts";
import type { SessionsByTransport } from "./vpn-metrics.ts";

/** Counts sessions by the way that their packets take now. */
export function sessionsByTransport(table: SessionTable): SessionsByTransport {
  let [tls, dtls, none] = [0, 0, 0];
  for (const session of table.all()) {
    if (session.state.kind !== "connected") none += 1;
    else if (session.dtls === undefined) tls += 1;
    else dtls += 1;
  }
  return { tls, dtls, none };
}

/** How full each tunnel's slice of the pool is. */
export function addressesByTunnel({ pool }: VpnParts, slices: readonly TunnelSlice[]) {
  const fill = pool.ofTunnels();
  return slices.map((slice, index) => ({ slice, ...(fill[index] ?? { used: 0, capacity: 0 }) }));
}

/** Counts who is banned now. */
export function bansInForce({ scores }: VpnParts) {
  const bans = scores.bans();
  const address = bans.filter(({ kind }) => kind === "address").length;
  return { address, account: bans.length - address };
}
