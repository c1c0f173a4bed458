import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { DerReader } from "./der-reader.ts";
import {
  bitString,
  boolean,
  enumerated,
  explicit,
  generalizedTime,
  ia5String,
  implicit,
  integer,
  namedBits,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
  time,
} from "./der-writer.ts";

const hex = (der: Buffer) => der.toString("hex");

describe("integers", () => {
  test.each([
    [0, "020100"],
    [127, "02017f"],
    [128, "02020080"],
    [65_536, "0203010000"],
    [-1, "0201ff"],
    [-128, "020180"],
    [-129, "0202ff7f"],
    [2n ** 64n, "0209010000000000000000"],
  ])("%s", (value, expected) => {
    expect(hex(integer(value))).toBe(expected);
  });

  test("bytes are a magnitude, written in the shortest form", () => {
    expect(hex(integer(Buffer.from("0000ff", "hex")))).toBe("020200ff");
    expect(hex(integer(Buffer.from("7f", "hex")))).toBe("02017f");
    expect(hex(integer(Buffer.alloc(0)))).toBe("020100");
    expect(hex(integer(Buffer.alloc(3)))).toBe("020100");
  });

  test("a fraction is refused", () => {
    expect(thrownCode(() => integer(128.5))).toBe("der-integer");
    expect(thrownCode(() => enumerated(128))).toBe("der-enumerated");
  });
});

describe("lengths", () => {
  test.each([
    [127, "047f"],
    [128, "048180"],
    [255, "0481ff"],
    [256, "04820100"],
    [65_535, "0482ffff"],
    [65_536, "0483010000"],
    [16_777_216, "048401000000"],
  ])("of %i octets", (length, header) => {
    const der = octetString(Buffer.alloc(length));
    expect(der.subarray(0, header.length / 2).toString("hex")).toBe(header);
    expect(der).toHaveLength(length + header.length / 2);
  });
});

test("a set is sorted by the octets of its parts", () => {
  expect(hex(setOf(integer(2), boolean(true), integer(1)))).toBe(
    "3109 0101ff 020101 020102".replaceAll(" ", ""),
  );
});

test("named bits end with the last one set", () => {
  expect(hex(namedBits([]))).toBe("030100");
  expect(hex(namedBits([5, 6]))).toBe("03020106");
  expect(hex(namedBits([0, 8]))).toBe("0303078080");
  expect(hex(bitString(Buffer.from([0xf0]), 4))).toBe("030204f0");
});

test("tags wrap what is given", () => {
  expect(hex(explicit(3, boolean(false)))).toBe("a303010100");
  expect(hex(implicit(1, Buffer.from("a")))).toBe("810161");
  expect(hex(implicit(0, sequence(), true))).toBe("a0023000");
});

describe("times", () => {
  test.each([
    [Date.UTC(1950, 0, 1), 0x17, "500101000000Z"],
    [Date.UTC(2049, 11, 31, 23, 59, 59, 999), 0x17, "491231235959Z"],
    [Date.UTC(2050, 0, 1), 0x18, "20500101000000Z"],
  ])("%i", (ms, tag, text) => {
    const der = time(ms);
    expect(der[0]).toBe(tag);
    expect(der.subarray(2).toString()).toBe(text);
  });

  test.each([Number.NaN, -1, Date.UTC(10_000, 0, 1)])("%d is refused", (ms) => {
    expect(thrownCode(() => generalizedTime(ms))).toBe("der-time");
  });
});

describe("identifiers", () => {
  test.each(["2.999.3", "2.25.329800735698586629295641978511506172918", "1.3.6.1.4.1.99999999"])(
    "%s comes back from the reader",
    (dotted) => {
      expect(new DerReader(objectIdentifier(dotted)).readObjectIdentifier()).toBe(dotted);
    },
  );

  test.each(["", "1", "3.1", "1.40", "1.2.", "1.02", "a.b"])("%j is refused", (dotted) => {
    expect(thrownCode(() => objectIdentifier(dotted))).toBe("der-oid");
  });
});

test("strings refuse what their type cannot hold", () => {
  expect(thrownCode(() => printableString("a@b"))).toBe("der-string");
  expect(thrownCode(() => ia5String("ä"))).toBe("der-string");
  expect(hex(printableString("aZ 9'()+,-./:=?"))).toBe(
    `130f${Buffer.from("aZ 9'()+,-./:=?").toString("hex")}`,
  );
});
