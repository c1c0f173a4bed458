import { readFileSync } from "node:fs";

/** Of the flags of netdevice(7). */
export const IFF_UP = 1;

/** The flags of a network device of this host; undefined where there is none. */
export function deviceFlags(device: string): number | undefined {
  try {
    return Number(readFileSync(`/sys/class/net/${device}/flags`, "utf8"));
  } catch {
    return undefined;
  }
}
