import { encodeSerialNumber } from "@isthmus/shared/x509/certificate";
import { TAG } from "@isthmus/shared/x509/der-tag";
import {
  element,
  explicit,
  implicit,
  integer,
  printableString,
  sequence,
  time,
} from "@isthmus/shared/x509/der-writer";
import {
  authorityKeyIdentifierExtension,
  encodeExtensions,
  extendedKeyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { encodeName } from "@isthmus/shared/x509/name";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { beforeAll, describe, expect, test } from "vitest";
import { ENCODING_RULES } from "./lint-encoding-rules.ts";
import { DEVICE_NAME, LintBench, rulesOf } from "./lint-fixture.ts";

/** 2051-01-01. */
const YEAR_2051 = 2_556_144_000_000;
let bench: LintBench;

beforeAll(async () => {
  bench = await LintBench.make();
});

/** The good certificate written part by part, so that a part can be what the encoder never writes. */
function written(parts: {
  readonly serialNumber?: Buffer;
  readonly validity?: Buffer;
  readonly afterKey?: readonly Buffer[];
  readonly extensions?: Buffer;
}): Buffer {
  const { good } = bench;
  return sequence(
    explicit(0, integer(2)),
    parts.serialNumber ?? encodeSerialNumber(good.serialNumber),
    good.signatureAlgorithm.der,
    good.issuer.der,
    parts.validity ?? sequence(time(good.notBefore), time(good.notAfter)),
    good.subject.der,
    good.publicKeyInfo,
    ...(parts.afterKey ?? []),
    explicit(3, parts.extensions ?? encodeExtensions(good.extensions)),
  );
}

function generalized(text: string): Buffer {
  return element(TAG.generalizedTime, Buffer.from(text));
}

type Bad = readonly [rule: string, what: string, faults: () => string[]];
const bad: readonly Bad[] = [
  [
    "serial-number-octets",
    "twenty octets and one for the sign",
    () => bench.faults({ serialNumber: "c0".repeat(20) }),
  ],
  [
    "validity-form",
    "GeneralizedTime before 2050",
    () => {
      const validity = sequence(time(bench.good.notBefore), generalized("20260601120000Z"));
      return bench.faultsOf(written({ validity }));
    },
  ],
  [
    "unique-identifiers",
    "of the subject",
    () => bench.faultsOf(written({ afterKey: [implicit(2, Buffer.from([0, 1]))] })),
  ],
  [
    "unique-identifiers",
    "of the issuer",
    () => bench.faultsOf(written({ afterKey: [implicit(1, Buffer.from([0, 1]))] })),
  ],
  [
    "subject-encoding",
    "a common name as PrintableString",
    () => bench.faults({ subject: encodeName([[printableName("device-1")]]) }),
  ],
  [
    "subject-encoding",
    "a serial number of characters that PrintableString has not",
    () => {
      const raw = element(TAG.utf8String, Buffer.from("a_b"));
      return bench.faults({
        subject: encodeName([[{ type: OID.serialNumber, value: "a_b", raw }]]),
      });
    },
  ],
  [
    "criticality",
    "a critical extended key usage",
    () =>
      bench.faults({ extensions: bench.with(extendedKeyUsageExtension([OID.clientAuth], true)) }),
  ],
  [
    "criticality",
    "a critical key identifier of the CA",
    () => {
      const identifier = authorityKeyIdentifierExtension(Buffer.from(bench.issuer.keyId, "hex"));
      return bench.faults({ extensions: bench.with({ ...identifier, critical: true }) });
    },
  ],
  [
    "alternative-names-criticality",
    "critical beside a subject",
    () => bench.faults({ extensions: bench.with(subjectAltNameExtension([DEVICE_NAME], true)) }),
  ],
  [
    "well-formed",
    "a negative serial number",
    () => bench.faultsOf(written({ serialNumber: element(TAG.integer, Buffer.alloc(16, 0x80)) })),
  ],
  [
    "well-formed",
    "an extension that comes twice",
    () => {
      const [first, ...rest] = bench.good.extensions;
      const twice = first === undefined ? [] : [first, first, ...rest];
      return bench.faultsOf(written({ extensions: encodeExtensions(twice) }));
    },
  ],
  [
    "well-formed",
    "a date with a fraction of a second",
    () => {
      const fraction = generalized("20500101000000.5Z");
      return bench.faultsOf(written({ validity: sequence(time(bench.good.notBefore), fraction) }));
    },
  ],
];

function printableName(value: string) {
  return { type: OID.commonName, value, raw: printableString(value) };
}

describe("one bad certificate for each rule", () => {
  test.each(bad)("%s: %s", (rule, _what, faults) => {
    expect(rulesOf(faults())).toContain(rule);
  });

  test("every rule has one", () => {
    const tested = new Set(bad.map(([rule]) => rule));
    expect(ENCODING_RULES.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([]);
  });
});

test("written part by part, a good certificate breaks no rule", () => {
  expect(bench.faultsOf(written({}))).toEqual([]);
});

test("each attribute's own string type passes", () => {
  const subject = parseNameText(
    "CN=Gerät 1,serialNumber=42,C=DE,DC=example,emailAddress=a@b.example",
  );
  expect(bench.faults({ subject })).toEqual([]);
});

test("a certificate into the fifties has GeneralizedTime", () => {
  expect(rulesOf(bench.faults({ notAfter: YEAR_2051 }))).not.toContain("validity-form");
});
