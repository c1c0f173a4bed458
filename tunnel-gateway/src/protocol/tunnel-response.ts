import { isIPv6 } from "node:net";
import { ProtocolError } from "@isthmus/shared/errors";
import type { ClientFacts } from "./client-facts.ts";
import { dottedRoute } from "./split-route.ts";
import { PSK_NEGOTIATE } from "./tunnel-request.ts";

/** What a client is told about its tunnel; zero seconds are never, or without end. */
export interface TunnelResponse {
  readonly client: Pick<ClientFacts, "kind" | "isIos">;
  readonly hostName: string | undefined;
  readonly ipv4: { readonly address: string; readonly netmask: string } | undefined;
  readonly ipv6: { readonly address: string; readonly prefixLength: number } | undefined;
  readonly baseMtu: number;
  readonly mtu: number;
  readonly dnsServers: readonly string[];
  readonly defaultDomain: string | undefined;
  readonly splitDns: readonly string[];
  readonly tunnelAllDns: boolean;
  readonly routesInclude: readonly string[];
  readonly routesExclude: readonly string[];
  readonly bypassesMissingFamily: boolean;
  readonly banner: string | undefined;
  readonly dpdSeconds: number;
  readonly keepaliveSeconds: number;
  readonly idleSeconds: number;
  readonly sessionSeconds: number;
  readonly sessionSecondsLeft: number;
  readonly disconnectedSeconds: number;
  readonly rekeySeconds: number;
  readonly dtls: DtlsResponse | undefined;
}

export type DtlsResponse = { readonly port: number } & (
  | { readonly kind: "psk"; readonly appId: Uint8Array }
  | { readonly kind: "resumption"; readonly sessionId: Uint8Array; readonly cipher: string }
);

type Field = readonly [name: string, value: string | number];

/** Printable ASCII and UTF-8: no value can end its line. */
const VALUE = /^[^\p{Cc}]{1,1024}$/u;

/**
 * The head that turns a connection into a tunnel. Order and names are those that stock clients have always got from ocserv,
 * which are those of Cisco's servers. Throws `ProtocolError` `tunnel-field` for a value that is no value of a field.
 */
export function encodeTunnelResponse(tunnel: TunnelResponse): Buffer {
  const fields = [
    ...identity(tunnel),
    ...addresses(tunnel),
    ...names(tunnel),
    ...routes(tunnel),
    ...times(tunnel),
    ...(tunnel.dtls ? dtls(tunnel.dtls, tunnel) : []),
    ...sizes(tunnel),
  ];
  const lines = fields.map(([name, value]) => {
    if (VALUE.test(String(value))) return `${name}: ${value}`;
    throw new ProtocolError("tunnel-field", `the value of ${name} is no value of a field`);
  });
  return Buffer.from(`${["HTTP/1.1 200 CONNECTED", ...lines].join("\r\n")}\r\n\r\n`);
}

function identity({ hostName, dpdSeconds, defaultDomain }: TunnelResponse): Field[] {
  return [
    ["X-CSTP-Version", 1],
    ...given("X-CSTP-Hostname", hostName),
    ...unlessZero("X-CSTP-DPD", dpdSeconds),
    ...given("X-CSTP-Default-Domain", defaultDomain),
  ];
}

function addresses({ ipv4, ipv6 }: TunnelResponse): Field[] {
  return [
    ...given("X-CSTP-Address", ipv4?.address),
    ...given("X-CSTP-Netmask", ipv4?.netmask),
    ...given("X-CSTP-Address-IP6", ipv6 && `${ipv6.address}/${ipv6.prefixLength}`),
  ];
}

function names(tunnel: TunnelResponse): Field[] {
  const servers = tunnel.dnsServers.filter((server) => hasFamilyOf(server, tunnel));
  return [
    // openconnect before 8.0 knows X-CSTP-DNS alone; AnyConnect takes no IPv6 address there (ocserv worker-vpn.c).
    ...servers.map((server): Field => {
      const isOfItsOwn = tunnel.client.kind === "anyconnect" && isIPv6(server);
      return [isOfItsOwn ? "X-CSTP-DNS-IP6" : "X-CSTP-DNS", server];
    }),
    ...tunnel.splitDns.map((domain): Field => ["X-CSTP-Split-DNS", domain]),
  ];
}

function routes(tunnel: TunnelResponse): Field[] {
  const { client, ipv6, routesInclude, routesExclude } = tunnel;
  const isSplit = routesInclude.length > 0;
  // Without it iOS uses no IPv6 at all in a tunnel with split routes (ocserv worker-vpn.c). What is not the group's to reach
  // is refused by the policy.
  const ios: Field[] =
    isSplit && ipv6 && client.isIos ? [["X-CSTP-Split-Include-IP6", "2000::/3"]] : [];
  return [
    ...ios,
    ...routesInclude.flatMap((route) => routeField("Include", route, tunnel)),
    ["X-CSTP-Tunnel-All-DNS", String(tunnel.tunnelAllDns)],
    ...routesExclude.flatMap((route) => routeField("Exclude", route, tunnel)),
    ["X-CSTP-Client-Bypass-Protocol", String(tunnel.bypassesMissingFamily)],
  ];
}

function routeField(kind: "Include" | "Exclude", route: string, tunnel: TunnelResponse): Field[] {
  if (!hasFamilyOf(route, tunnel)) return [];
  const isOfIpv6 = route.includes(":");
  return isOfIpv6
    ? [[`X-CSTP-Split-${kind}-IP6`, route]]
    : [[`X-CSTP-Split-${kind}`, dottedRoute(route)]];
}

function times(tunnel: TunnelResponse): Field[] {
  const { sessionSeconds, sessionSecondsLeft, rekeySeconds } = tunnel;
  return [
    ["X-CSTP-Keepalive", tunnel.keepaliveSeconds],
    ["X-CSTP-Idle-Timeout", orNone(tunnel.idleSeconds)],
    ["X-CSTP-Smartcard-Removal-Disconnect", "true"],
    ...unlessZero("X-CSTP-Rekey-Time", rekeySeconds),
    // TLS 1.3 has no renegotiation, and of TLS 1.2 ours allows none: new keys come with a new tunnel.
    ["X-CSTP-Rekey-Method", rekeySeconds > 0 ? "new-tunnel" : "none"],
    ["X-CSTP-Lease-Duration", orNone(sessionSeconds)],
    ["X-CSTP-Session-Timeout", orNone(sessionSeconds)],
    ...(sessionSeconds > 0
      ? [["X-CSTP-Session-Timeout-Remaining", Math.max(0, sessionSecondsLeft)] as const]
      : []),
    ["X-CSTP-Disconnected-Timeout", orNone(tunnel.disconnectedSeconds)],
    ["X-CSTP-Keep", "true"],
    ["X-CSTP-TCP-Keepalive", "true"],
    ["X-CSTP-License", "accept"],
  ];
}

function dtls(offer: DtlsResponse, tunnel: TunnelResponse): Field[] {
  const common: Field[] = [
    ...unlessZero("X-DTLS-DPD", tunnel.dpdSeconds),
    ["X-DTLS-Port", offer.port],
    // A new tunnel brings new keys for DTLS too.
    ["X-DTLS-Rekey-Method", "none"],
    ["X-DTLS-Keepalive", tunnel.keepaliveSeconds],
  ];
  if (offer.kind === "psk") {
    return [...common, ["X-DTLS-App-ID", hex(offer.appId)], ["X-DTLS-CipherSuite", PSK_NEGOTIATE]];
  }
  return [
    ...common,
    ["X-DTLS-Session-ID", hex(offer.sessionId)],
    ["X-DTLS12-CipherSuite", offer.cipher],
    // Not with PSK: there the suite, and with it the size, is negotiated.
    ["X-DTLS-MTU", tunnel.mtu],
  ];
}

/** openconnect has one MTU, takes the largest that it is told and gives up without any. */
function sizes({ baseMtu, mtu, banner }: TunnelResponse): Field[] {
  const oneLine = banner?.replace(/\p{Cc}+/gu, " ").trim();
  return [
    ["X-CSTP-Base-MTU", baseMtu],
    ["X-CSTP-MTU", mtu],
    ...(oneLine ? [["X-CSTP-Banner", oneLine] as const] : []),
  ];
}

/** Routes and name servers of a family without an address only confuse clients. */
function hasFamilyOf(address: string, { ipv4, ipv6 }: TunnelResponse): boolean {
  return (address.includes(":") ? ipv6 : ipv4) !== undefined;
}

function given(name: string, value: string | undefined): Field[] {
  return value === undefined ? [] : [[name, value]];
}

function unlessZero(name: string, seconds: number): Field[] {
  return seconds > 0 ? [[name, seconds]] : [];
}

function orNone(seconds: number): number | "none" {
  return seconds > 0 ? seconds : "none";
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
