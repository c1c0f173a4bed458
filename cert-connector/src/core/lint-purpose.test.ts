import {
  extendedKeyUsageExtension,
  keyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { beforeAll, describe, expect, test } from "vitest";
import { DEVICE_NAME, LintBench, rulesOf } from "./lint-fixture.ts";
import { PURPOSE_RULES } from "./lint-purpose-rules.ts";

const SID = "S-1-5-21-1004336348-1177238915-682003330-512";
const SID_URI = `tag:microsoft.com,2022-09-14:sid:${SID}`;
let bench: LintBench;

beforeAll(async () => {
  bench = await LintBench.make();
});

function uri(value: string): GeneralName {
  return { type: "uri", value };
}

function forPurpose(purpose: string, ...names: GeneralName[]): string[] {
  const extensions = bench.with(
    extendedKeyUsageExtension([purpose]),
    subjectAltNameExtension([DEVICE_NAME, ...names]),
  );
  return rulesOf(bench.faults({ extensions })) as string[];
}

function withNames(...names: GeneralName[]): string[] {
  return rulesOf(bench.faults(bench.withNames(DEVICE_NAME, ...names))) as string[];
}

/** What is wrong with the good client certificate below a CA with these purposes. */
function belowCaFor(...purposes: string[]): string[] {
  const [issuing, ...above] = bench.issuer.chain;
  if (issuing === undefined) throw new Error("no issuing CA");
  const certificate = { ...issuing, extendedKeyUsage: purposes } as typeof issuing;
  const issuer = { ...bench.issuer, certificate, chain: [certificate, ...above] };
  return rulesOf(bench.faults({}, { issuer })) as string[];
}

type Bad = readonly [rule: string, what: string, rules: () => string[]];
const bad: readonly Bad[] = [
  [
    "usage-serves-purpose",
    "clientAuth with a key that only enciphers",
    () => {
      const extensions = bench.with(keyUsageExtension(["dataEncipherment"]));
      return rulesOf(bench.faults({ extensions })) as string[];
    },
  ],
  ["issuer-purpose", "a CA for serverAuth alone", () => belowCaFor(OID.serverAuth)],
  ["mail-address", "no address", () => forPurpose(OID.emailProtection)],
  [
    "mail-address",
    "another in the subject",
    () => {
      const extensions = bench.with(
        extendedKeyUsageExtension([OID.emailProtection]),
        subjectAltNameExtension([{ type: "email", value: "ada@example.com" }]),
      );
      const subject = parseNameText("CN=Ada,emailAddress=grace@example.com");
      return rulesOf(bench.faults({ extensions, subject })) as string[];
    },
  ],
  ["logon-name", "no account", () => forPurpose(OID.smartcardLogon)],
  ["security-identifier", "no SID", () => withNames(uri(SID_URI.replace(SID, "everybody")))],
  [
    "security-identifier",
    "one that is no domain's",
    () => withNames(uri(SID_URI.replace(SID, "S-1-5-18"))),
  ],
  [
    "security-identifier",
    "the prefix in capitals",
    () => withNames(uri(SID_URI.replace("tag:", "TAG:"))),
  ],
  ["one-account", "two SIDs", () => withNames(uri(SID_URI), uri(SID_URI.replace("-512", "-513")))],
  [
    "one-account",
    "another in Microsoft's extension",
    () => {
      const extensions = bench.with(
        subjectAltNameExtension([uri(SID_URI)]),
        sidExtension(SID.replace("-512", "-513")),
      );
      return rulesOf(bench.faults({ extensions })) as string[];
    },
  ],
];

describe("one bad certificate for each rule", () => {
  test.each(bad)("%s: %s", (rule, _what, rules) => {
    expect(rules()).toContain(rule);
  });

  test("every rule has one", () => {
    const tested = new Set(bad.map(([rule]) => rule));
    expect(PURPOSE_RULES.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([]);
  });
});

describe("what passes", () => {
  test("below a CA for clientAuth, and for any purpose", () => {
    expect(belowCaFor(OID.serverAuth, OID.clientAuth)).not.toContain("issuer-purpose");
    expect(belowCaFor("2.5.29.37.0")).not.toContain("issuer-purpose");
  });

  test("logon with a user principal name, and with a SID", () => {
    const upn = { type: "upn", value: "ada@example.com" } as const;
    expect(forPurpose(OID.smartcardLogon, upn)).not.toContain("logon-name");
    expect(forPurpose(OID.smartcardLogon, uri(SID_URI))).not.toContain("logon-name");
  });

  test("one SID in both of its places", () => {
    const extensions = bench.with(subjectAltNameExtension([uri(SID_URI)]), sidExtension(SID));
    const broken = rulesOf(bench.faults({ extensions }));
    expect(broken).not.toContain("one-account");
    expect(broken).not.toContain("security-identifier");
  });
});
