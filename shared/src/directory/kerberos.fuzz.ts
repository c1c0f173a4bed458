import fc from "fast-check";
import { expect, test } from "vitest";
import { ProtocolError } from "../errors.ts";
import { fuzzRuns } from "../testing/fuzz-runs.ts";
import { thrownCode } from "../testing/thrown-code.ts";
import { parseCredentialCache } from "./kerberos-credential-cache.ts";
import { parseKerberosReply, requireProof } from "./kerberos-reply.ts";

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

test("a server's token is read or refused, whatever its bytes are", () => {
  const valid = Buffer.from(
    "a12a3028a0030a0100a10b06092a864886f712010202a2140412601006092a864886f7120102020200" + "6f00",
    "hex",
  );
  const mutated = fc
    .tuple(fc.nat(valid.length), fc.uint8Array({ maxLength: 8 }), fc.nat(8))
    .map(([at, put, removed]) =>
      Buffer.concat([valid.subarray(0, at), put, valid.subarray(at + removed)]),
    );
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 100 })), (bytes) => {
      try {
        const reply = parseKerberosReply(Buffer.from(bytes));
        const request = { now: 0, microseconds: 0 };
        if (reply.kind === "proof") requireProof(reply.cipher, { key: Buffer.alloc(32) }, request);
      } catch (error) {
        expect(error).toMatchObject({ code: "kerberos-reply" });
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
