import { familyOf, type PacketAction, type PacketRule, READINGS } from "./packet-rules.ts";

/*
 * native/src/policy.h, one rule in 32 bytes, big endian:
 *   0 action | 1 family | 2 protocol | 3 prefix length | 4 first port 16 | 6 last port 16 | 8 rule number 32
 *   12 reading | 13 zero | 14 stage 16 | 16 address, IPv4 in the first four
 */
export const RULE_BYTES = 32;
export const RULES_AT_MOST = 100_000;
const ACTIONS: Readonly<Record<PacketAction, number>> = { deny: 0, allow: 1, pass: 2 };

/** Packs rules for the engine. `numberOf` gives a rule's name the number by which the engine speaks of it. */
export function packRules(
  rules: readonly PacketRule[],
  numberOf: (name: string) => number,
): Uint8Array {
  const packed = Buffer.alloc(rules.length * RULE_BYTES);
  for (const [index, rule] of rules.entries()) {
    const { network, ports } = rule;
    const at = index * RULE_BYTES;
    packed.writeUInt8(ACTIONS[rule.action], at);
    packed.writeUInt8(familyOf(rule.reading, network), at + 1);
    packed.writeUInt8(rule.protocol, at + 2);
    packed.writeUInt8(network.prefix, at + 3);
    packed.writeUInt16BE(ports.from, at + 4);
    packed.writeUInt16BE(ports.to, at + 6);
    packed.writeUInt32BE(numberOf(rule.name), at + 8);
    packed.writeUInt8(READINGS[rule.reading], at + 12);
    packed.writeUInt16BE(rule.stage, at + 14);
    writeAddress(packed, at + 16, network);
  }
  return packed;
}

function writeAddress(
  into: Buffer,
  at: number,
  { family, value }: { readonly family: 4 | 6; readonly value: bigint },
): void {
  if (family === 4) {
    into.writeUInt32BE(Number(value), at);
    return;
  }
  into.writeBigUInt64BE(value >> 64n, at);
  into.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, at + 8);
}
