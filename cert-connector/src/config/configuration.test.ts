import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, describe, expect, test } from "vitest";
import { desiredConfiguration } from "./desired-configuration.ts";
import { directories } from "./directories.ts";
import { guardrails } from "./guardrails.ts";

function faults(value: unknown): string[] {
  const { error } = desiredConfiguration.safeParse(value);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("a desired configuration", () => {
  test("needs no more than an id for a profile", () => {
    const { profiles, crl } = desiredConfiguration.parse({ profiles: [{ id: "device" }] });
    expect(profiles[0]).toMatchObject({
      ca: "embedded",
      subject: "fromChallenge",
      extendedKeyUsage: ["clientAuth"],
      challenge: { kind: "signed" },
      legacyAlgorithms: false,
      approval: false,
    });
    expect(crl).toEqual({ periodHours: 24, overlapHours: 24 });
  });

  test("is answered with every fault, unknown keys among them", () => {
    const profile = { id: "a b", validityDays: 826, extendedKeyUsage: ["ocspSigning"], colour: 1 };
    const found = faults({ profiles: [profile], publicUrls: { crl: "ftp://x" } });
    expect(found).toEqual([
      expect.stringMatching(/^profiles\.0\.id: /),
      expect.stringMatching(/^profiles\.0\.extendedKeyUsage\.0: /),
      expect.stringMatching(/^profiles\.0\.validityDays: /),
      expect.stringMatching(/^profiles\.0: .*colour/),
      expect.stringMatching(/^publicUrls\.crl: /),
    ]);
  });

  test.each([1, 825])("%i days of validity pass", (validityDays) => {
    expect(faults({ profiles: [{ id: "device", validityDays }] })).toEqual([]);
  });

  test.each([0, 826, 1.5])("%d days of validity do not", (validityDays) => {
    expect(faults({ profiles: [{ id: "device", validityDays }] })).toHaveLength(1);
  });

  test("gives each profile an id and an address of its own, and NDES's to one", () => {
    const [a, b] = [
      { id: "a", ndesPath: true },
      { id: "b", scepPath: "a", ndesPath: true },
    ];
    expect(faults({ profiles: [a, b] })).toEqual([
      'profiles.1.scepPath: "a" is taken by another profile',
      "profiles: only one profile may have ndesPath",
    ]);
    expect(faults({ profiles: [a, { ...a, scepPath: "c", ndesPath: false }] })).toEqual([
      'profiles.1.id: "a" is taken by another profile',
    ]);
  });
});

describe("guardrails", () => {
  test("are safe where nothing is said: client certificates of a year, and no SID", () => {
    expect(guardrails.parse({})).toMatchObject({
      extendedKeyUsage: ["clientAuth"],
      maxValidityDays: 398,
      securityIdentifiers: [],
      subjectAltNames: { uri: ["urn:isthmus:device:.+"] },
    });
  });

  test("refuse a pattern that is no regular expression", () => {
    expect(guardrails.safeParse({ subjects: ["CN=("] }).success).toBe(false);
  });
});

describe("a directory", () => {
  const folder = temporaryFolder();
  const passwordFile = join(folder.path, "password");
  writeFileSync(passwordFile, "secret", { mode: 0o600 });
  afterAll(() => folder[Symbol.dispose]());
  const ad = {
    urls: ["ldaps://dc1.corp.test"],
    baseDn: "DC=corp,DC=test",
    bind: { dn: "CN=isthmus", passwordFile },
  };
  const faultsOf = (changes: Record<string, unknown>) =>
    (directories.safeParse({ ad: { ...ad, ...changes } }).error?.issues ?? []).map(({ path }) =>
      path.slice(1).join("."),
    );

  test("needs an address, a base and a service account", () => {
    expect(faultsOf({ bind: { ...ad.bind, passwordFile: "/nowhere" } })).toEqual([
      "bind.passwordFile",
    ]);
    expect(faultsOf({ urls: [] })).toEqual(["urls"]);
    expect(faultsOf({ colour: 1 })).toEqual([""]);
  });

  test.each([
    "http://dc1",
    "ldaps://",
    "ldaps://dc1/DC=corp",
    "ldaps://user:secret@dc1",
    "ldaps://dc1?sub",
  ])("is not at %s", (url) => {
    expect(faultsOf({ urls: [url] })).toContain("urls.0");
  });

  test("is not spoken to in the clear, except on this machine", () => {
    const plain = { startTls: false, urls: ["ldap://dc1.corp.test", "ldap://127.0.0.1:3890"] };
    expect(faultsOf(plain)).toContain("urls.0");
    expect(faultsOf(plain)).not.toContain("urls.1");
    expect(faultsOf({ ...plain, startTls: true })).not.toContain("urls.0");
  });
});
