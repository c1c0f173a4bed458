/**
 * The Proxy-Status field (RFC 9209), which tells a client that the relay itself and not the destination answered:
 *
 *     Proxy-Status: isthmus; error=destination_ip_prohibited; details="rule egress/loopback"
 */

/** Error types of RFC 9209 section 2.3 that the relay uses. */
export type ProxyError =
  | "dns_timeout"
  | "dns_error"
  | "destination_unavailable"
  | "destination_ip_prohibited"
  | "connection_refused"
  | "connection_timeout"
  | "connection_limit_reached"
  | "http_request_error"
  | "http_request_denied"
  | "proxy_internal_error";

/** Our own: what a field holds at most of `details`; rule names are shorter. */
const MAX_DETAILS_CHARACTERS = 512;

/** The value of a Proxy-Status field; what is not printable ASCII in `details` is replaced (RFC 9651 section 3.3.3). */
export function encodeProxyStatus(of: {
  readonly error: ProxyError;
  readonly details: string;
}): string {
  const printable = of.details.slice(0, MAX_DETAILS_CHARACTERS).replace(/[^\x20-\x7e]/g, "?");
  const quoted = printable.replace(/["\\]/g, "\\$&");
  return `isthmus; error=${of.error}; details="${quoted}"`;
}
