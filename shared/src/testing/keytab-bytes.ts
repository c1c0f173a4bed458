/** For tests: a keytab as MIT's library writes it. */

export interface WrittenKey {
  readonly components: readonly string[];
  readonly realm?: string;
  /** 1 where left out. */
  readonly keyNumber?: number;
  /** 18, AES-256, where left out. */
  readonly keyType?: number;
}

const HOLE_BYTES = 5;

/** With a hole before each key. */
export function keytabBytes(keys: readonly WrittenKey[]): Buffer {
  return Buffer.concat([Buffer.from([5, 2]), ...keys.flatMap((key) => [hole(), entry(key)])]);
}

function hole(): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(-HOLE_BYTES);
  return Buffer.concat([length, Buffer.alloc(HOLE_BYTES, 1)]);
}

function entry({ components, realm = "CORP.TEST", keyNumber = 1, keyType = 18 }: WrittenKey) {
  const octets = Buffer.concat([
    number(components.length, 2),
    ...[realm, ...components].map((each) => text(Buffer.from(each))),
    ...[number(1, 4), number(0, 4), number(keyNumber % 256, 1), number(keyType, 2)],
    text(Buffer.alloc(32, 7)),
    number(keyNumber, 4),
  ]);
  return Buffer.concat([number(octets.length, 4), octets]);
}

function text(octets: Buffer): Buffer {
  return Buffer.concat([number(octets.length, 2), octets]);
}

function number(value: number, size: number): Buffer {
  const octets = Buffer.alloc(size);
  octets.writeUIntBE(value, 0, size);
  return octets;
}
