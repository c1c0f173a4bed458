import { Counter, Gauge, type Registry } from "prom-client";

/** The VPN's metrics; every label is from a closed set. */
export interface VpnMetrics {
  readonly logins: Counter<"outcome">;
  readonly connects: Counter<"outcome">;
  readonly bans: Counter<"kind">;
  readonly ended: Counter<"reason">;
  readonly cut: Counter<"code">;
  readonly bytes: Counter<"direction">;
  readonly handshakeFailures: Counter;
  readonly malformed: Counter<"code">;
}

export interface VpnFigures {
  readonly sessions: () => number;
  readonly connected: () => number;
  readonly addressesUsed: () => number;
  readonly addresses: () => number;
  readonly pendingLogins: () => number;
  readonly policies: () => number;
}

/** Registers the metrics. `figures` are read when they are asked for. */
export function vpnMetrics(registry: Registry, figures: VpnFigures): VpnMetrics {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name: `tunnel_gateway_vpn_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `tunnel_gateway_vpn_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge("sessions", "Sessions that have not ended", figures.sessions);
  gauge("sessions_connected", "Sessions with a connection", figures.connected);
  gauge("addresses_used", "Addresses of the pool in use", figures.addressesUsed);
  gauge("addresses", "Addresses of the pool", figures.addresses);
  gauge("logins_pending", "Logins that wait for an answer", figures.pendingLogins);
  gauge("policies", "Distinct policies of sessions in force", figures.policies);
  return {
    logins: counter("logins_total", "Logins by their outcome: accepted, or why not", ["outcome"]),
    connects: counter("connects_total", "Requests for a tunnel: new, again, or why not", [
      "outcome",
    ]),
    bans: counter("bans_total", "Bans of addresses and accounts", ["kind"]),
    ended: counter("sessions_ended_total", "Sessions that ended, by why", ["reason"]),
    cut: counter("sessions_cut_total", "Sessions that were cut, by why", ["code"]),
    bytes: counter("bytes_total", "Bytes carried by sessions that ended", ["direction"]),
    handshakeFailures: counter("handshakes_failed_total", "TLS connections that never became one"),
    malformed: counter("requests_malformed_total", "Requests refused for their form", ["code"]),
  };
}
