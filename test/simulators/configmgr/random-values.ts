/** Numbers that depend on nothing but what they are asked for, so that no row has to be kept. */

/** 32 evenly spread bits of two numbers (the finalizer of MurmurHash3). */
export function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** From 0 up to 1, without 1. */
export function share(bits: number): number {
  return bits / 0x1_0000_0000;
}

export function pick<Of>(list: readonly Of[], bits: number): Of {
  return list[bits % list.length] as Of;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Eight hex digits. */
export function hex8(bits: number): string {
  return (
    (HEX[bits >>> 24] ?? "") +
    (HEX[(bits >>> 16) & 255] ?? "") +
    (HEX[(bits >>> 8) & 255] ?? "") +
    (HEX[bits & 255] ?? "")
  );
}

/** A GUID in upper case without braces, of four numbers. */
export function guidOf(seed: number, id: number): string {
  const a = hex8(mix(seed, id));
  const b = hex8(mix(seed + 1, id));
  const c = hex8(mix(seed + 2, id));
  const d = hex8(mix(seed + 3, id));
  const text = `${a}-${b.slice(0, 4)}-4${b.slice(5)}-9${c.slice(1, 4)}-${c.slice(4)}${d}`;
  return text.toUpperCase();
}
