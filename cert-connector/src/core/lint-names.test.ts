import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { nameConstraintsExtension } from "@isthmus/shared/x509/name-constraints";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { beforeAll, describe, expect, test } from "vitest";
import { DEVICE_NAME, LintBench, rulesOf } from "./lint-fixture.ts";
import { NAME_RULES } from "./lint-name-rules.ts";

const device = DEVICE_NAME;
const longSubject = parseNameText(`CN=${"x".repeat(65)}`);
let bench: LintBench;

beforeAll(async () => {
  bench = await LintBench.make();
});

type Bad = readonly [rule: string, what: string, faults: () => string[]];
const bad: readonly Bad[] = [
  [
    "some-name",
    "no subject and no critical alternative name",
    () => bench.faults({ subject: parseNameText("") }),
  ],
  [
    "subject-values",
    "a common name of 65 characters",
    () => bench.faults({ subject: longSubject }),
  ],
  [
    "subject-values",
    "an empty organization",
    () => bench.faults({ subject: parseNameText("CN=a,O=") }),
  ],
  [
    "subject-values",
    "a right-to-left override",
    () => bench.faults({ subject: parseNameText("CN=a\u202eb") }),
  ],
  [
    "one-common-name",
    "two common names",
    () => bench.faults({ subject: parseNameText("CN=a,CN=b") }),
  ],
  [
    "country",
    "a country in small letters",
    () => bench.faults({ subject: parseNameText("CN=a,C=de") }),
  ],
  [
    "subject-mail",
    "a mailbox without host",
    () => bench.faults({ subject: parseNameText("CN=a,emailAddress=ada") }),
  ],
  [
    "subject-of-the-authority",
    "the root's, in other case",
    () => bench.faults({ subject: parseNameText("CN=TEST ROOT CA") }),
  ],
  ...["10.0.0.1", "ab--cd.example"].map(
    (value): Bad => [
      "dns-labels",
      value,
      () => bench.faults(bench.withNames(device, { type: "dns", value })),
    ],
  ),
  ...["https:///path", "https://a_b..example/", "https://[::1::2]/", "https://a:b:c/"].map(
    (value): Bad => [
      "uri-authority",
      value,
      () => bench.faults(bench.withNames(device, { type: "uri", value })),
    ],
  ),
  [
    "alternative-names",
    "a DNS name with a space",
    () => bench.faults(bench.withNames(device, { type: "dns", value: "a b.example" })),
  ],
  [
    "alternative-names",
    "a mailbox without host",
    () => bench.faults(bench.withNames(device, { type: "email", value: "ada" })),
  ],
  [
    "alternative-names",
    "a URI without scheme",
    () => bench.faults(bench.withNames(device, { type: "uri", value: "device-1" })),
  ],
  [
    "alternative-names",
    "a UPN without host",
    () => bench.faults(bench.withNames(device, { type: "upn", value: "ada" })),
  ],
  [
    "alternative-names",
    "an IP address",
    () => bench.faults(bench.withNames(device, { type: "ip", value: "10.0.0.1" })),
  ],
  [
    "alternative-names",
    "51 names",
    () =>
      bench.faults(
        bench.withNames(
          ...Array.from(
            { length: 51 },
            (_, n) => ({ type: "dns", value: `h${n}.example` }) as const,
          ),
        ),
      ),
  ],
  [
    "alternative-names-repeat",
    "the same name twice",
    () => bench.faults(bench.withNames(device, device)),
  ],
  [
    "one-device",
    "two device ids",
    () =>
      bench.faults(bench.withNames(device, { type: "uri", value: "urn:isthmus:device:device-2" })),
  ],
];

describe("one bad certificate for each rule", () => {
  test.each(bad)("%s: %s", (rule, _what, faults) => {
    expect(rulesOf(faults())).toContain(rule);
  });

  test("name-constraints: a name that the CA may not certify", async () => {
    const constraint = nameConstraintsExtension({
      permitted: [{ type: "dns", value: "contoso.example" }],
      excluded: [],
    });
    const bound = await LintBench.make([constraint]);
    expect(bound.faults({})).toEqual([]);
    const outside = bound.withNames(device, { type: "dns", value: "host.fabrikam.example" });
    const inside = bound.withNames(device, { type: "dns", value: "host.contoso.example" });
    expect(bound.faults(outside)).toEqual([
      expect.stringContaining("name-constraints: a dns name"),
    ]);
    expect(bound.faults(inside)).toEqual([]);
  });

  test("every rule has one", () => {
    const tested = new Set([...bad.map(([rule]) => rule), "name-constraints"]);
    expect(NAME_RULES.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([]);
  });
});

test("an empty subject passes with a critical alternative name", () => {
  const names = subjectAltNameExtension([device], true);
  expect(bench.faults({ subject: parseNameText(""), extensions: bench.with(names) })).toEqual([]);
});

test.each([
  "https://host.example/path?x=1",
  "https://host.example:8443",
  "https://[2001:db8::1]/",
  "https://10.0.0.1/",
  "spiffe://example.org/device",
  "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1104",
])("a URI passes: %s", (value) => {
  expect(bench.faults(bench.withNames(device, { type: "uri", value }))).toEqual([]);
});

test.each(["xn--bcher-kva.example", "*.host.example", "a-b--c.example", "_vpn.host.example"])(
  "a DNS name passes: %s",
  (value) => {
    expect(bench.faults(bench.withNames(device, { type: "dns", value }))).toEqual([]);
  },
);
