import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCredentialCache } from "./credential-cache.ts";

const number = (value: number, size: number) => {
  const octets = Buffer.alloc(size);
  octets.writeUIntBE(value, 0, size);
  return octets;
};
const data = (octets: Uint8Array | string) => {
  const content = Buffer.from(octets);
  return Buffer.concat([number(content.length, 4), content]);
};
const principal = (...components: string[]) =>
  Buffer.concat([
    number(1, 4),
    number(components.length, 4),
    data("CORP.TEST"),
    ...components.map(data),
  ]);

/** A cache with a header, an address and authorization data, as MIT's library would write it. */
const valid = Buffer.concat([
  Buffer.from("0504000c000100080000000000000000", "hex"),
  principal("isthmus"),
  principal("isthmus"),
  principal("HTTP", "ca.corp.test"),
  number(18, 2),
  data(Buffer.alloc(32, 7)),
  ...[1, 2, 1_800_000_000, 4].map((each) => number(each, 4)),
  Buffer.from([0]),
  number(0x40_00_00_00, 4),
  ...[number(1, 4), number(2, 2), data(Buffer.alloc(4))],
  ...[number(1, 4), number(3, 2), data("x")],
  data("the ticket"),
  data(""),
]);

test("a cache is read", () => {
  expect(parseCredentialCache(valid)).toEqual([
    {
      client: { nameType: 1, realm: "CORP.TEST", components: ["isthmus"] },
      server: { nameType: 1, realm: "CORP.TEST", components: ["HTTP", "ca.corp.test"] },
      keyType: 18,
      key: Buffer.alloc(32, 7),
      endsAt: 1_800_000_000_000,
      ticket: Buffer.from("the ticket"),
    },
  ]);
});

test("a cache of another version or one that ends in the middle is refused", () => {
  for (const bytes of [Buffer.from("0503", "hex"), valid.subarray(0, -3), Buffer.alloc(0)]) {
    expect(thrownCode(() => parseCredentialCache(bytes))).toBe("credential-cache");
  }
});

test("a cache is read or refused, whatever its bytes are", () => {
  const mutated = fc
    .tuple(fc.nat(valid.length - 1), fc.uint8Array({ maxLength: 8 }), fc.nat(8))
    .map(([at, put, removed]) =>
      Buffer.concat([valid.subarray(0, at), put, valid.subarray(at + removed)]),
    );
  const noise = fc
    .uint8Array({ maxLength: 200 })
    .map((each) => Buffer.concat([valid.subarray(0, 4), each]));
  fc.assert(
    fc.property(fc.oneof(mutated, noise), (bytes) => {
      try {
        parseCredentialCache(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
