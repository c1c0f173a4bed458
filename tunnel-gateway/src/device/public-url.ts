import { isIPv6 } from "node:net";
import type { EngineConnection } from "../core/vpn-engine.ts";
import type { HttpFields } from "../protocol/http-head.ts";

const HOST = /^(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/;

/** `https://host[:port]` as the client addressed the gateway. Only its own browser ever goes there. */
export function publicUrlOf(fields: HttpFields, connection: EngineConnection): string {
  const host = fields.get("Host");
  if (host !== undefined && HOST.test(host) && URL.canParse(`https://${host}`)) {
    return `https://${host}`;
  }
  const { serverName, localAddress } = connection;
  return `https://${serverName ?? (isIPv6(localAddress) ? `[${localAddress}]` : localAddress)}`;
}
