import { readFileSync } from "node:fs";
import { WINDOW_KINDS } from "@isthmus/shared/kernel/service-definition";
import { expect, test } from "vitest";
import { z } from "zod";
import { actionGuardrails } from "./action-guardrails.ts";

const page = readFileSync(
  new URL("../../../docs/comgmt-bridge/actions.md", import.meta.url),
  "utf8",
);

test("nothing is allowed unless somebody says so", () => {
  expect(actionGuardrails.parse({})).toEqual({
    ...{ targets: {}, maxDevicesPerAction: 100, notifications: [], scripts: [], applications: [] },
    ...{ allowQueries: false, allowRecoveryKeys: false, customProperties: [] },
  });
});

const SCRIPT = {
  scriptGuid: "A1B2C3D4-0000-4000-8000-000000000001",
  ...{ version: "1", sha256: "0".repeat(64) },
};

test("GUIDs and hashes are compared whatever their case", () => {
  const { scripts } = actionGuardrails.parse({ scripts: [{ ...SCRIPT, sha256: "A".repeat(64) }] });
  expect(scripts[0]).toMatchObject({
    ...{ scriptGuid: SCRIPT.scriptGuid.toLowerCase(), sha256: "a".repeat(64) },
    ...{ parameters: {}, allowSelfApproval: false },
  });
});

test("the ids of built-in collections are ids of collections", () => {
  const collections = ["SMS00001", "SMSDM003", "SMS000US", "CM100014"];
  expect(actionGuardrails.safeParse({ targets: { CM1: { collections } } }).success).toBe(true);
});

test.each([
  { targets: { CM1: { collections: ["CM1"] } } },
  { targets: { CM1: { collections: ["CM10001'"] } } },
  { targets: { CM1: { collections: ["CM1000145"] } } },
  { targets: { cm1: {} } },
  { targets: { CM1: { devices: [0] } } },
  { targets: { CM1: { collections: Array.from({ length: 51 }, () => "CM100014") } } },
  { maxDevicesPerAction: 0 },
  { maxDevicesPerAction: 10_001 },
  { approval: {} },
  { approval: { above: 10_001 } },
  { notifications: ["restart"] },
  { notifications: ["reboot"] },
  { restart: { maxDevicesPerAction: 0 } },
  { scripts: [{ ...SCRIPT, sha256: "A".repeat(63) }] },
  { scripts: [{ ...SCRIPT, parameters: { Name: "(" } }] },
  { scripts: [{ ...SCRIPT, version: undefined }] },
  { applications: [{ applicationId: SCRIPT.scriptGuid, actions: [] }] },
  { applications: [{ applicationId: "x", actions: ["install"] }] },
  { customProperties: [""] },
  { another: 1 },
])("%j is refused", (section) => {
  expect(actionGuardrails.safeParse(section).success).toBe(false);
});

interface Keys {
  readonly properties?: Readonly<Record<string, Keys>>;
  readonly items?: Keys;
  readonly additionalProperties?: Keys;
}

function keysIn({ properties = {}, items, additionalProperties }: Keys): string[] {
  const below = [...Object.values(properties), items, additionalProperties];
  return [...Object.keys(properties), ...below.flatMap((each) => (each ? keysIn(each) : []))];
}

test("the page about actions names every key and every window", () => {
  const schema = z.toJSONSchema(actionGuardrails, { io: "input", unrepresentable: "any" }) as Keys;
  const windows = WINDOW_KINDS.filter((kind) => kind.startsWith("site-"));
  const keys = [...keysIn(schema), ...windows];
  expect(keys.length).toBeGreaterThan(25);
  expect(keys.filter((key) => !page.includes(`\`${key}\``))).toEqual([]);
});
