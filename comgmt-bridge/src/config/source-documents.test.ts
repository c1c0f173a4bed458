import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseIn } from "@isthmus/shared/kernel/configuration-keys";
import { testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { derToPem } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { agents } from "./agents.ts";
import { localConfiguration } from "./bridge-configuration.ts";
import { directories } from "./directory.ts";
import { site } from "./site.ts";

const PAGES = { directory: directories, agents: agents, kerberos: site.shape.kerberos } as const;
type PageName = keyof typeof PAGES;
const pageOf = (name: PageName) =>
  readFileSync(new URL(`../../../docs/comgmt-bridge/${name}.md`, import.meta.url), "utf8");

let folder: string;
beforeAll(async () => {
  const { certificate } = await testCertificate();
  const pem = derToPem(certificate.der, "CERTIFICATE");
  folder = mkdtempSync(join(tmpdir(), "isthmus-page-"));
  const files = ["corp-root.pem", "isthmus.password", "isthmus.keytab", "sms-issuing.pem"];
  for (const file of files) {
    writeFileSync(join(folder, file), file.endsWith(".pem") ? pem : "x", { mode: 0o600 });
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const parsed = (input: unknown) => parseIn(folder, localConfiguration, input);

test.each(Object.keys(PAGES) as PageName[])("configurations on the page %s are valid", (name) => {
  const blocks = [...pageOf(name).matchAll(/^```json\n(.*?)^```$/gms)];
  expect(blocks.length).toBeGreaterThan(0);
  for (const [, text = ""] of blocks)
    expect(parsed(JSON.parse(text)).error?.issues).toBeUndefined();
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly default?: unknown;
}

/** Keys at every depth, with their defaults. */
function keysOf(schema: Schema): [string, unknown][] {
  const own = Object.entries(schema.properties ?? {});
  return [
    ...own.flatMap(([key, of]) => [[key, of.default] as [string, unknown], ...keysOf(of)]),
    ...(schema.items ? keysOf(schema.items) : []),
    ...(schema.anyOf ?? []).flatMap(keysOf),
  ];
}

test.each(Object.keys(PAGES) as PageName[])(
  "the page %s names every key, with its default",
  (name) => {
    const page = pageOf(name);
    const options = { io: "input", unrepresentable: "any" } as const;
    const keys = keysOf(z.toJSONSchema(PAGES[name], options) as Schema);
    expect(keys.length).toBeGreaterThan(2);
    for (const [key, value] of keys) {
      expect(page).toContain(`\`${key}\``);
      if (typeof value === "number") expect(page).toContain(value.toLocaleString("en"));
    }
  },
);

const directory = {
  name: "corp.example",
  urls: ["ldaps://dc1.corp.example"],
  bind: { dn: "isthmus@corp.example", passwordFile: "isthmus.password" },
};

test("a domain needs little, and has everything that is not said", () => {
  expect(parsed({ directories: [directory] }).data?.directories[0]).toMatchObject({
    ...{ kinds: ["device", "user", "group"], changesSeconds: 60, fullReadMinutes: 1_440 },
    limits: { pageRows: 500, rangeValues: 1_500, maxMembers: 5_000 },
  });
  expect(parsed({}).data).toEqual({ sites: [], directories: [] });
});

test.each([
  { name: "Corp.Example" },
  { name: "corp..example" },
  { urls: [] },
  { urls: ["ldaps://dc1/DC=corp"] },
  { urls: ["https://dc1"] },
  { urls: ["ldaps://user:secret@dc1"] },
  { bind: { dn: "a", passwordFile: "missing" } },
  { kinds: [] },
  { kinds: ["device", "device"] },
  { kinds: ["printer"] },
  { limits: { pageRows: 1_001 } },
  { limits: { rangeValues: 1_501 } },
  { limits: { maxMembers: 5_001 } },
  { changesSeconds: 4 },
  { fullReadMinutes: 14 },
  { another: 1 },
])("a domain with %j is refused", (change) => {
  expect(parsed({ directories: [{ ...directory, ...change }] }).success).toBe(false);
});

test("a domain twice is refused, two are taken", () => {
  const other = { ...directory, name: "eu.corp.example" };
  expect(parsed({ directories: [directory, other] }).success).toBe(true);
  expect(parsed({ directories: [directory, directory] }).success).toBe(false);
});

test.each([
  {},
  { folder: "a", maxAgeDays: 0 },
  { folder: "a", everySeconds: 4 },
  { folder: "a", scanMinutes: 14 },
  { folder: "a", limits: { maxFileBytes: 67_108_865 } },
  { folder: "a", name: "two words" },
  { folder: "a", another: 1 },
])("agents with %j are refused", (agents) => {
  expect(parsed({ agents }).success).toBe(false);
});
