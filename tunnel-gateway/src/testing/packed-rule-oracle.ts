import type { IpAddress } from "../core/ip-address.ts";
import { RULE_BYTES } from "../core/vpn/packed-rules.ts";

export interface TestPacket {
  readonly destination: IpAddress;
  /** IANA number. */
  readonly protocol: number;
  readonly port: number;
}

/** What native/src/policy.h says that packed rules decide, by the letter and without any haste. */
export function judgePacked(
  packed: Uint8Array,
  packet: TestPacket,
): { readonly isAllowed: boolean; readonly rule: number } {
  const rules = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  let passedStage = -1;
  for (let at = 0; at < rules.length; at += RULE_BYTES) {
    const rule = rules.subarray(at, at + RULE_BYTES);
    const stage = rule.readUInt16BE(14);
    if (stage === passedStage || !isMatch(rule, packet)) continue;
    if (rule[0] === 2) passedStage = stage;
    else return { isAllowed: rule[0] === 1, rule: rule.readUInt32BE(8) };
  }
  return { isAllowed: false, rule: 0 };
}

function isMatch(rule: Buffer, { destination, protocol, port }: TestPacket): boolean {
  const [, family, ofProtocol, prefix = 0] = rule;
  if (family !== destination.family || (ofProtocol !== 0 && ofProtocol !== protocol)) return false;
  if (port < rule.readUInt16BE(4) || port > rule.readUInt16BE(6)) return false;
  const reading = rule[12] ?? 0;
  const address = reading === 0 ? destination.value : read(reading, destination.value);
  if (address === undefined) return false;
  const bits = reading === 0 && family === 6 ? 128 : 32;
  const network = BigInt(`0x${rule.toString("hex", 16, 16 + bits / 8)}`);
  const shift = BigInt(bits - prefix);
  return address >> shift === network >> shift;
}

function read(reading: number, address: bigint): bigint | undefined {
  const last = address & 0xffff_ffffn;
  switch (reading) {
    case 1:
      return ((address >> 32n) & 0xfdff_ffffn) === 0x5efen ? last : undefined;
    case 2:
      return isNat64Local(address) && last !== 0n ? last : undefined;
    case 3: {
      const found = (((address >> 64n) & 0xffffn) << 16n) | ((address >> 40n) & 0xffffn);
      return isNat64Local(address) && found !== 0n ? found : undefined;
    }
    case 4:
      return address >> 96n === 0x2001_0000n ? last ^ 0xffff_ffffn : undefined;
    default:
      throw new TypeError(`reading ${reading} is none`);
  }
}

function isNat64Local(address: bigint): boolean {
  return address >> 80n === 0x64_ff9b_0001n;
}
