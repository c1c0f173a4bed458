import { isIPv4 } from "node:net";
import { ProtocolError } from "@isthmus/shared/errors";

/** An IPv4 network as clients read routes: `10.0.0.0/8` is `10.0.0.0/255.0.0.0`. Throws `ProtocolError` `route-malformed`. */
export function dottedRoute(network: string): string {
  const [address = "", bits = "", ...more] = network.split("/");
  const isPrefix = /^(?:[0-9]|[12][0-9]|3[0-2])$/.test(bits);
  if (!isIPv4(address) || !isPrefix || more.length > 0) {
    throw new ProtocolError("route-malformed", "a route is no IPv4 network with a prefix length");
  }
  return `${address}/${dottedMask(Number(bits))}`;
}

/** `255.255.255.0` of 24. */
export function dottedMask(bits: number): string {
  const mask = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff).join(".");
}
