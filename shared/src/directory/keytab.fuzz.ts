import fc from "fast-check";
import { expect, test } from "vitest";
import { fuzzRuns } from "../testing/fuzz-runs.ts";
import { keytabBytes } from "../testing/keytab-bytes.ts";
import { thrownCode } from "../testing/thrown-code.ts";
import { MAX_KEYTAB_BYTES, parseKeytab } from "./keytab.ts";

const key = fc.record({
  components: fc.array(fc.string({ unit: "grapheme-ascii", maxLength: 20 }), { maxLength: 4 }),
  realm: fc.string({ unit: "grapheme-ascii", maxLength: 20 }),
  keyNumber: fc.integer({ min: 1, max: 100_000 }),
  keyType: fc.nat(65_535),
});

test("whose keys were written is read again, between holes", () => {
  fc.assert(
    fc.property(fc.array(key, { maxLength: 5 }), (keys) => {
      expect(parseKeytab(keytabBytes(keys))).toEqual(
        keys.map(({ components, realm, ...more }) => ({
          principal: `${components.join("/")}@${realm}`,
          ...more,
        })),
      );
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("a keytab is read or refused, whatever its bytes are", () => {
  const valid = keytabBytes([{ components: ["HTTP", "a.corp.test"], keyNumber: 300 }]);
  const mutated = fc
    .tuple(fc.nat(valid.length), fc.uint8Array({ maxLength: 8 }), fc.nat(8))
    .map(([at, put, removed]) =>
      Buffer.concat([valid.subarray(0, at), put, valid.subarray(at + removed)]),
    );
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 100 })), (bytes) => {
      try {
        expect(parseKeytab(Buffer.from(bytes)).length).toBeLessThan(10);
      } catch (error) {
        expect(error).toMatchObject({ code: "keytab" });
      }
    }),
    { numRuns: fuzzRuns(5_000) },
  );
});

test("a keytab may be a megabyte long, and no byte more", () => {
  const filled = (bytes: number) => {
    const hole = Buffer.alloc(4);
    hole.writeInt32BE(-(bytes - 6));
    return Buffer.concat([Buffer.from([5, 2]), hole, Buffer.alloc(bytes - 6)]);
  };
  for (const bytes of [MAX_KEYTAB_BYTES - 1, MAX_KEYTAB_BYTES]) {
    expect(parseKeytab(filled(bytes))).toEqual([]);
  }
  expect(thrownCode(() => parseKeytab(filled(MAX_KEYTAB_BYTES + 1)))).toBe("keytab");
});
