import { makeGauge } from "@isthmus/shared/kernel/gauge";
import { Counter, Gauge, type Registry } from "prom-client";
import type { Fill } from "../core/vpn/address-pool.ts";
import type { Scored } from "../core/vpn/scores.ts";
import type { TunnelSlice } from "../core/vpn/tunnel-slices.ts";

/** The VPN's metrics; every label is from a closed set, or one that the local configuration closes. */
export interface VpnMetrics {
  readonly logins: Counter<"outcome">;
  readonly authentications: Counter<"authenticator" | "outcome">;
  readonly connects: Counter<"outcome">;
  readonly offers: Counter<"dtls">;
  readonly bans: Counter<"kind">;
  readonly ended: Counter<"reason">;
  readonly cut: Counter<"code">;
  readonly denied: Counter;
  readonly handshakeFailures: Counter<"reason">;
  readonly malformed: Counter<"code">;
}

/** How many sessions there are by the way their packets take. */
export interface SessionsByTransport {
  readonly tls: number;
  readonly dtls: number;
  /** Without a connection; their clients may come back. */
  readonly none: number;
}

export interface VpnFigures {
  readonly sessions: () => number;
  readonly byTransport: () => SessionsByTransport;
  /** Of each tunnel's slice. */
  readonly addresses: () => readonly {
    readonly slice: Pick<TunnelSlice, "device">;
    readonly used: number;
    readonly capacity: number;
  }[];
  /** Of each pool, and of what is in none. */
  readonly pools: () => readonly (Fill & { readonly pool: string | undefined })[];
  readonly pendingLogins: () => number;
  readonly policies: () => number;
  readonly bansInForce: () => Readonly<Record<Scored, number>>;
}

/** The label of addresses in no pool; a pool has a name. */
const NO_POOL = "";

/** Registers the metrics. `figures` are read when they are asked for. */
export function vpnMetrics(registry: Registry, figures: VpnFigures): VpnMetrics {
  registerFigures(registry, figures);
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name: `tunnel_gateway_vpn_${name}`, help, labelNames, registers });
  return {
    logins: counter("logins_total", "Logins by their outcome: accepted, or why not", ["outcome"]),
    authentications: counter(
      "authentications_total",
      "Answers of each authenticator: accepted, asked, wrong, refused, unreachable, failed",
      ["authenticator", "outcome"],
    ),
    connects: counter("connects_total", "Requests for a tunnel: new, again, or why not", [
      "outcome",
    ]),
    offers: counter("dtls_offers_total", "Tunnels begun, by whether DTLS was offered", ["dtls"]),
    bans: counter("bans_total", "Bans of addresses and accounts", ["kind"]),
    ended: counter("sessions_ended_total", "Sessions that ended, by why", ["reason"]),
    cut: counter("sessions_cut_total", "Sessions that were cut, by why", ["code"]),
    denied: counter("flows_denied_total", "Flows that a rule refused, as far as they were told"),
    handshakeFailures: counter(
      "handshakes_failed_total",
      "TLS connections and DTLS handshakes that never became one, by why",
      ["reason"],
    ),
    malformed: counter("requests_malformed_total", "Requests refused for their form", ["code"]),
  };
}

function registerFigures(registry: Registry, figures: VpnFigures): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `tunnel_gateway_vpn_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  const labelled = (
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [string, number]>,
  ) => makeGauge(registry, { name: `tunnel_gateway_vpn_${name}`, help, label, read });
  gauge("sessions", "Sessions that have not ended", figures.sessions);
  labelled("sessions_by_transport", "Sessions by the way of their packets", "transport", () =>
    Object.entries(figures.byTransport()),
  );
  labelled("addresses_used", "Addresses in use, by tunnel", "tunnel", () =>
    figures.addresses().map(({ slice, used }) => [slice.device, used] as const),
  );
  labelled("addresses", "Addresses that can be given out, by tunnel", "tunnel", () =>
    figures.addresses().map(({ slice, capacity }) => [slice.device, capacity] as const),
  );
  labelled("pool_addresses_used", "Addresses in use, by pool", "pool", () =>
    figures.pools().map(({ pool, used }) => [pool ?? NO_POOL, used] as const),
  );
  labelled("pool_addresses", "Addresses that can be given out, by pool", "pool", () =>
    figures.pools().map(({ pool, capacity }) => [pool ?? NO_POOL, capacity] as const),
  );
  gauge("logins_pending", "Logins that wait for an answer", figures.pendingLogins);
  gauge("policies", "Distinct policies of sessions in force", figures.policies);
  labelled("bans_in_force", "Addresses and accounts that are banned now", "kind", () =>
    Object.entries(figures.bansInForce()),
  );
}

/** Reasons of the front (native/src/events.h) and of DTLS handshakes (native/src/dtls-handshakes.c). */
const HANDSHAKE_REASONS: ReadonlySet<string> = new Set([
  "too-many",
  "timeout",
  "closed",
  "proxy-header",
  "client-hello",
  "handshake",
  "internal",
  "dtls-no-suite",
  "dtls-alert",
  "dtls-protocol",
  "dtls-withdrawn",
  "dtls-replaced",
  "dtls-system",
  "dtls-timeout",
]);

/** The label of a failed handshake, whose reason may go on with what OpenSSL says. */
export function handshakeReason(reason: string): string {
  const [first = ""] = reason.split(": ");
  return HANDSHAKE_REASONS.has(first) ? first : "other";
}
