import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";

/**
 * This host's addresses as they are now, with their networks: `10.0.0.5/24`. Node leaves out devices without carrier (a pulled
 * cable, a TUN that nobody has opened), whose addresses the kernel answers on all the same; Linux names those in /proc.
 */
export function currentAddresses(): readonly string[] {
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const shown = interfaces.flatMap(({ cidr }) => cidr ?? []);
  const known = new Set(shown.map((cidr) => cidr.split("/")[0]));
  const others = [
    ...localIpv4(read("/proc/net/fib_trie")),
    ...localIpv6(read("/proc/net/if_inet6")),
  ];
  return [...shown, ...new Set(others.filter((cidr) => !known.has(cidr.split("/")[0])))];
}

/** The addresses that the kernel's routing table calls its own: a line `|-- 10.0.0.5`, then one `/32 host LOCAL`. */
export function localIpv4(table: string): string[] {
  const own = /\|-- (\d{1,3}(?:\.\d{1,3}){3})\n\s+\/32 host LOCAL/g;
  return [...table.matchAll(own)].map((match) => `${match[1]}/32`);
}

/** proc(5): 32 hexadecimal digits, then the device's number, prefix length, scope, flags and name. */
export function localIpv6(table: string): string[] {
  return table.split("\n").flatMap((line) => {
    const digits = /^([0-9a-f]{32}) /.exec(line)?.[1];
    if (digits === undefined) return [];
    const groups = digits.match(/.{4}/g) ?? [];
    // The form that Node has, so that one address is not named twice.
    return [`${new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1)}/128`];
  });
}

function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
