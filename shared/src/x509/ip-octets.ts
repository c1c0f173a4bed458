import { isIPv4, isIPv6 } from "node:net";

/** The text of an IP address of 4 or 16 octets, IPv6 as RFC 5952 writes it; undefined for any other length. */
export function formatIpAddress(octets: Uint8Array): string | undefined {
  if (octets.length === 4) return octets.join(".");
  if (octets.length !== 16) return undefined;
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((octets[index * 2] ?? 0) << 8) | (octets[index * 2 + 1] ?? 0)).toString(16),
  );
  const [start, length] = longestRunOfZeros(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

function longestRunOfZeros(groups: readonly string[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  let run = 0;
  groups.forEach((group, index) => {
    run = group === "0" ? run + 1 : 0;
    if (run > best[1]) best = [index - run + 1, run];
  });
  return best;
}

/** The 4 or 16 octets of an address; undefined if it is none. */
export function parseIpAddress(text: string): Buffer | undefined {
  if (isIPv4(text)) return Buffer.from(text.split(".").map(Number));
  return isIPv6(text) && !text.includes("%") ? ipv6Octets(text) : undefined;
}

function ipv6Octets(text: string): Buffer {
  const [head = "", tail] = text.split("::");
  const before = groupsOf(head);
  const after = groupsOf(tail ?? "");
  const octets = Buffer.alloc(16);
  octets.set(before);
  octets.set(after, 16 - after.length);
  return octets;
}

function groupsOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
