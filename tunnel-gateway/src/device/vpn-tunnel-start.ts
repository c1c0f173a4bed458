import type { TunnelSettings, VpnService } from "../core/vpn/vpn-service-port.ts";
import type { DtlsOffer, EngineConnection } from "../core/vpn-engine.ts";
import { type ClientFacts, readClientFacts } from "../protocol/client-facts.ts";
import { parseCookies, SESSION_COOKIE } from "../protocol/cookies.ts";
import type { HttpRequest } from "../protocol/http-requests.ts";
import { type HttpResponse, refusalFields } from "../protocol/http-response.ts";
import { type TunnelMtu, tunnelMtu } from "../protocol/mtu.ts";
import {
  type DtlsChoice,
  parseTunnelHeaders,
  type TunnelHeaders,
} from "../protocol/tunnel-request.ts";
import { type DtlsResponse, encodeTunnelResponse } from "../protocol/tunnel-response.ts";

export type TunnelStart =
  | {
      readonly kind: "connected";
      readonly sessionId: number;
      readonly head: Buffer;
      readonly dtls: DtlsOffer | undefined;
    }
  | { readonly kind: "refused"; readonly response: HttpResponse };

export interface TunnelStartOptions {
  readonly service: Pick<VpnService, "connect">;
  /** Undefined where no UDP port is open: then no field speaks of DTLS. */
  readonly udpPort: number | undefined;
}

/**
 * Serves `CONNECT /CSCOSSLC/tunnel` up to the point where the engine takes over. A secret that the client has sent for DTLS is wiped
 * here, unless it is in the result: then its taker does so.
 */
export async function startTunnel(
  request: HttpRequest,
  connection: EngineConnection,
  options: TunnelStartOptions,
  signal: AbortSignal,
): Promise<TunnelStart> {
  const { fields } = request;
  const cookie = parseCookies(fields.all("Cookie")).get(SESSION_COOKIE);
  if (cookie === undefined || cookie === "") return refused(401, { message: "log in first" });
  const headers = parseTunnelHeaders(fields);
  let start: TunnelStart | undefined;
  try {
    start = await connected(
      headers,
      { cookie, client: readClientFacts(fields), connection },
      options,
      signal,
    );
    return start;
  } finally {
    if (start?.kind !== "connected" || start.dtls === undefined) wipeSecret(headers.dtls);
  }
}

/** Nothing is left of the master secret in this memory; of the text that it came in, JavaScript disposes when it likes. */
export function wipeSecret(dtls: DtlsOffer | DtlsChoice | undefined): void {
  if (dtls?.kind === "resumption") dtls.masterSecret.fill(0);
}

async function connected(
  headers: TunnelHeaders,
  of: {
    readonly cookie: string;
    readonly client: ClientFacts;
    readonly connection: EngineConnection;
  },
  { service, udpPort }: TunnelStartOptions,
  signal: AbortSignal,
): Promise<TunnelStart> {
  const { cookie, client, connection } = of;
  const { baseMtu: base, innerMtu: inner } = headers;
  const mtu = tunnelMtu({ base, inner, isIpv6: isIpv6Path(connection.remoteAddress) });
  const answer = await service.connect(
    {
      cookie,
      connection,
      client,
      hostName: headers.hostName,
      wantsIpv4: headers.wantsIpv4,
      wantsIpv6: headers.wantsIpv6,
      formerAddresses: headers.formerAddresses,
      mtu: { tls: mtu.tls, dtls: mtu.dtls },
      dtls: udpPort === undefined ? undefined : headers.dtls,
    },
    signal,
  );
  if (answer.kind === "refused") return refused(answer.status, answer.refusal);
  const { tunnel } = answer;
  const offer = udpPort === undefined ? undefined : tunnel.dtls;
  const dtls = offer && udpPort !== undefined ? { ...offer, port: udpPort } : undefined;
  const head = headOf(tunnel, { client, mtu, hostName: headers.hostName, dtls });
  return { kind: "connected", sessionId: tunnel.sessionId, head, dtls: offer };
}

function headOf(
  tunnel: TunnelSettings,
  of: {
    readonly client: ClientFacts;
    readonly mtu: TunnelMtu;
    readonly hostName: string | undefined;
    readonly dtls: DtlsResponse | undefined;
  },
): Buffer {
  const { client, mtu, hostName, dtls } = of;
  return encodeTunnelResponse({ ...tunnel, client, hostName, baseMtu: mtu.base, dtls });
}

/** openconnect shows X-Reason of a 503, takes a 401 for a cookie that has ended, and gives up on everything else. */
function refused(status: number, why: Parameters<typeof refusalFields>[0]): TunnelStart {
  const fields: HttpResponse["fields"] = [
    ["Content-Type", "text/plain; charset=utf-8"],
    ...refusalFields(why),
  ];
  return { kind: "refused", response: { status, fields, cookies: [], body: `${why.message}\n` } };
}

function isIpv6Path(address: string): boolean {
  return address.includes(":") && !address.toLowerCase().startsWith("::ffff:");
}
