/**
 * The largest packet inside the tunnel, from the largest on the client's path (`X-CSTP-Base-MTU`).
 *
 * By DTLS a packet has to fit one datagram, or the path splits or drops it:
 *
 *     IP 20 or 40 | UDP 8 | record 13 | nonce 8 | type 1 | packet | tag 16       DTLS 1.2 with AES-GCM
 *
 * that is the base less 66 over IPv4, less 86 over IPv6. DTLS 1.3 and ChaCha20-Poly1305 need less.
 *
 * By TLS a packet is bytes of a stream that is cut into segments without regard to it, so only what every packet must have
 * is taken off: its frame, and the IP header of the path, so that the tunnel's MTU never looks larger than the path's.
 *
 *     IP 20 or 40 | ... | frame 8 | packet | ...
 */
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const UDP_HEADER = 8;
const DTLS_RECORD = 13 + 8 + 16;
const DTLS_TYPE = 1;
const CSTP_FRAME = 8;

/** Own limits: what every IPv4 host takes in one piece, and an Ethernet frame. */
const MIN_MTU = 576;
const MAX_MTU = 1_500;

export interface PathMtu {
  /** `X-CSTP-Base-MTU`: of the client's path. */
  readonly base: number | undefined;
  /** `X-CSTP-MTU`: what the client reckons for inside. Only clients that know no base are taken at their word. */
  readonly inner: number | undefined;
  readonly isIpv6: boolean;
}

export interface TunnelMtu {
  readonly base: number;
  readonly tls: number;
  readonly dtls: number;
}

/** The largest inner packet for either transport. */
export function tunnelMtu({ base, inner, isIpv6 }: PathMtu): TunnelMtu {
  const ip = isIpv6 ? IPV6_HEADER : IPV4_HEADER;
  const dtlsOverhead = ip + UDP_HEADER + DTLS_RECORD + DTLS_TYPE;
  if (base === undefined && inner !== undefined) {
    const bound = clamp(inner);
    return { base: Math.min(bound + dtlsOverhead, MAX_MTU), tls: bound, dtls: bound };
  }
  const path = clamp(base ?? MAX_MTU);
  return {
    base: path,
    tls: clamp(path - ip - CSTP_FRAME),
    dtls: clamp(path - dtlsOverhead),
  };
}

function clamp(mtu: number): number {
  return Math.min(Math.max(mtu, MIN_MTU), MAX_MTU);
}
