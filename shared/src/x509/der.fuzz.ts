import fc from "fast-check";
import { expect, test } from "vitest";
import { fuzzRuns } from "../testing/fuzz-runs.ts";
import { returnsOrRefuses } from "../testing/mutations.ts";
import { DerReader } from "./der-reader.ts";
import { CONSTRUCTED, TAG } from "./der-tag.ts";
import { integer, objectIdentifier, octetString, sequence, time } from "./der-writer.ts";
import { encodeGeneralName, type GeneralName, readGeneralName } from "./general-name.ts";
import { encodeName, parseName } from "./name.ts";
import { formatName, parseNameText } from "./name-text.ts";
import { OID } from "./object-identifiers.ts";
import { derToPem, pemToDer } from "./pem.ts";

/** Bytes that look like DER more often than noise does: known tags, short lengths, the odd BER end. */
const derLike = fc
  .array(
    fc.oneof(
      fc.constantFrom(...Object.values(TAG), 0xa0, 0xa1, 0x80, 0x81, 0x24, 0x00, 0xff),
      fc.nat(12),
      fc.nat(255),
    ),
    { maxLength: 80 },
  )
  .map((octets) => Buffer.from(octets));

/** Reads everything there is, going into whatever is constructed. */
function walk(reader: DerReader): number {
  let elements = 0;
  while (!reader.isAtEnd) {
    const tag = reader.peekTag();
    elements += 1;
    if ((tag & CONSTRUCTED) !== 0) elements += walk(reader.enter(tag));
    else readPrimitive(reader, tag);
  }
  return elements;
}

function readPrimitive(reader: DerReader, tag: number): void {
  if (tag === TAG.integer) reader.readInteger();
  else if (tag === TAG.objectIdentifier) reader.readObjectIdentifier();
  else if (tag === TAG.bitString) reader.readBitString();
  else if (tag === TAG.boolean) reader.readBoolean();
  else if (tag === TAG.utcTime || tag === TAG.generalizedTime) reader.readTime();
  else reader.readOctetString(tag);
}

test.each([false, true])("any bytes end within the limits (BER allowed: %s)", (allowBer) => {
  const property = fc.property(derLike, (bytes) => {
    returnsOrRefuses(() => {
      const elements = walk(new DerReader(bytes, { allowBer, maxElements: 50 }));
      expect(elements).toBeLessThanOrEqual(50);
    });
  });
  fc.assert(property, { numRuns: fuzzRuns(20_000) });
});

test("what is written is read", () => {
  const property = fc.property(
    fc.bigInt({ min: 0n, max: 2n ** 40n }),
    fc.uint8Array({ maxLength: 300 }),
    fc.integer({ min: 0, max: 253_402_300_799 }),
    fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 8 }),
    (number, octets, seconds, arcs) => {
      const oid = `2.${arcs.join(".")}`;
      const bytes = sequence(
        integer(number),
        octetString(octets),
        time(seconds * 1_000),
        objectIdentifier(oid),
      );
      const body = new DerReader(bytes).enter();
      expect(body.readSmallInteger(2 ** 40)).toBe(Number(number));
      expect(body.readOctetString()).toEqual(Buffer.from(octets));
      expect(body.readTime()).toBe(seconds * 1_000);
      expect(body.readObjectIdentifier()).toBe(oid);
      body.end();
    },
  );
  fc.assert(property, { numRuns: fuzzRuns(2_000) });
});

test("any name survives DER and text", () => {
  const attribute = fc.record({
    type: fc.constantFrom(OID.commonName, OID.organizationName, OID.organizationalUnitName),
    value: fc.string({ unit: "grapheme", maxLength: 20 }),
  });
  const relativeNames = fc.array(fc.array(attribute, { minLength: 1, maxLength: 3 }), {
    maxLength: 4,
  });
  const property = fc.property(relativeNames, (attributes) => {
    const name = encodeName(attributes);
    expect(parseName(name.der)).toEqual(name);
    // Text of nothing but spaces around escapes is where a reader goes wrong: the DER must be the same again.
    expect(parseNameText(formatName(name)).der).toEqual(name.der);
  });
  fc.assert(property, { numRuns: fuzzRuns(5_000) });
});

test("any text is a name or is refused", () => {
  const text = fc.string({ unit: fc.constantFrom(...'CNO=,+\\#"; 0aF.12é\0'), maxLength: 30 });
  const property = fc.property(text, (input) => {
    returnsOrRefuses(() => {
      const name = parseNameText(input);
      expect(parseNameText(formatName(name)).der).toEqual(name.der);
    });
  });
  fc.assert(property, { numRuns: fuzzRuns(10_000) });
});

test("general names survive", () => {
  const ascii = fc.string({ unit: "grapheme-ascii", maxLength: 30 });
  const name: fc.Arbitrary<GeneralName> = fc.oneof(
    fc.record({ type: fc.constantFrom("dns", "email", "uri"), value: ascii }),
    fc.record({ type: fc.constant("upn"), value: fc.string({ unit: "grapheme", maxLength: 30 }) }),
    fc.record({ type: fc.constant("ip"), value: fc.oneof(fc.ipV4(), fc.ipV6()) }),
  );
  const property = fc.property(name, (written) => {
    const der = encodeGeneralName(written);
    const read = readGeneralName(new DerReader(der));
    expect(read.type).toBe(written.type);
    expect(encodeGeneralName(read)).toEqual(der);
  });
  fc.assert(property, { numRuns: fuzzRuns(5_000) });
});

test("any text is PEM or is refused", () => {
  const property = fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 200 }),
    fc.nat(),
    fc.string(),
    (der, at, noise) => {
      const pem = derToPem(der, "X");
      expect(pemToDer(`${noise.replaceAll("-", "")}\n${pem}`, "X")).toEqual([Buffer.from(der)]);
      const cut = at % pem.length;
      returnsOrRefuses(() => pemToDer(pem.slice(0, cut) + noise + pem.slice(cut), "X"));
    },
  );
  fc.assert(property, { numRuns: fuzzRuns(2_000) });
});
