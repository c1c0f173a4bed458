import { DEMO_SITE } from "@isthmus/suite/process/configuration-manager";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Asked,
  AttackedBridge,
  application,
  devices,
  GREETING,
  GREETING_SHA256,
  notify,
  properties,
  query,
  recoveryKey,
  script,
} from "./hostile/attacked-bridge.ts";

/** Signed by the real tenant key, and beyond the guardrails on the bridge's host: the rule that refuses each is the one that is meant to. */

const NEVER = "CM10002A";
const MIXED = "CM10002B";
const LISTED = "3d1c3d0e-5f0a-4a6e-9d0b-1f2e3d4c5b6a";

let bridge: AttackedBridge;

beforeAll(async () => {
  bridge = await AttackedBridge.open();
  const collection = (id: string, ...numbers: readonly number[]) =>
    bridge.ask("change", {
      ...{ kind: "collection", id, name: id },
      members: numbers.map((number) => DEMO_SITE.firstResourceId + number),
    });
  await collection(NEVER, 50);
  await collection(MIXED, 49, 50);
  await bridge.tighten((guardrails) => {
    // So that what stands behind this list is reached.
    guardrails.commands.allow.push(
      ...["site.application", "site.recovery-key", "site.custom-properties"],
    );
    guardrails.commands.allow = guardrails.commands.allow.filter(
      (kind: string) => kind !== "site.refresh",
    );
    const { actions } = guardrails["comgmt-bridge"];
    actions.targets = { CM1: { collections: ["SMS00001", MIXED], never: [NEVER] } };
    actions.notifications = ["refreshMachinePolicy", "refreshUserPolicy"];
    actions.scripts = [
      {
        ...{ scriptGuid: GREETING.guid, version: "1", sha256: GREETING_SHA256 },
        parameters: { Name: "[A-Za-z]{1,10}" },
      },
    ];
    actions.applications = [{ applicationId: LISTED, actions: ["reevaluate"] }];
    actions.customProperties = ["owner"];
    guardrails["comgmt-bridge"].queries = { entities: ["OperatingSystem"] };
  });
});

afterAll(() => bridge[Symbol.asyncDispose]());

const named = (value: string, name = "Name") => script({ parameters: [{ name, value }] });
const rule = (key: string) => `guardrails.comgmt-bridge.${key}`;
const payload = (kind: string) => ["payload-invalid", `payload.${kind}`] as const;

const VALUE = ["script-parameter-refused", rule("actions.scripts.parameters")] as const;
const SCRIPT = ["script-refused", rule("actions.scripts")] as const;
const ENTITY = ["query-entity-refused", rule("queries.entities")] as const;
const APPLICATION = ["application-refused", rule("actions.applications")] as const;
const PROPERTY = ["custom-property-refused", rule("actions.customProperties")] as const;
const COLLECTION = ["target-refused", rule("actions.targets.CM1.collections")] as const;
const NEVER_RULE = ["target-refused", rule("actions.targets.CM1.never")] as const;

const REFUSED: readonly (readonly [what: string, asked: Asked, by: readonly [string, string]])[] = [
  [
    "a collection with a device that is never touched",
    notify({ kind: "collection", collectionId: MIXED }),
    NEVER_RULE,
  ],
  [
    "a collection with more devices than one action may have",
    notify({ kind: "collection", collectionId: "SMS00001" }),
    ["devices-too-many", rule("actions.maxDevicesPerAction")],
  ],
  ["a device that is never touched, by its number", notify(devices(50)), NEVER_RULE],
  ["the same in a script", script({ target: devices(49, 50) }), NEVER_RULE],
  ["the same in a query", query("OperatingSystem", devices(50)), NEVER_RULE],
  ["the same in an application", application(LISTED, "reevaluate", devices(50)), NEVER_RULE],
  ["the same in custom properties", properties(50, { set: { owner: "b" } }), NEVER_RULE],
  [
    "the collection that is never touched",
    notify({ kind: "collection", collectionId: NEVER }),
    COLLECTION,
  ],
  [
    "a collection that is not listed",
    notify({ kind: "collection", collectionId: "SMSDM003" }),
    COLLECTION,
  ],
  [
    "a device that the site does not have",
    notify(devices(9_999_999)),
    ["target-refused", rule("actions.targets.CM1")],
  ],
  [
    "a notification that is not listed",
    notify(devices(1), "hardwareInventory"),
    ["notification-refused", rule("actions.notifications")],
  ],
  ["a restart", notify(devices(1), "restart"), ["notification-refused", rule("actions.restart")]],
  [
    "a notification by the name of a property of all objects",
    notify(devices(1), "constructor"),
    payload("site.notify"),
  ],
  [
    "another site",
    ["site.notify", { ...notify(devices(1))[1], source: "CM9" }],
    ["source-unknown", "site.siteCode"],
  ],
  [
    "a kind that the host does not allow",
    ["site.refresh", { source: "CM1", resourceIds: [DEMO_SITE.firstResourceId] }],
    ["command-not-allowed", "guardrails.commands.allow"],
  ],
  ["a script of another version", script({ version: "2" }), SCRIPT],
  ["a script of another text", script({ sha256: "0".repeat(64) }), SCRIPT],
  ["another script", script({ scriptGuid: DEMO_SITE.script.guid }), SCRIPT],
  ["a value that its pattern does not have", named("Alice Smith"), VALUE],
  ["a value that is longer than its pattern", named("AliceAliceAlice"), VALUE],
  ["a value that begins as its pattern does", named("Alice; Remove-Item C:"), VALUE],
  ["a value out of its attribute", named("a\"/><ScriptParameter ParameterName='b"), VALUE],
  ["a value out of its quotes", named("a'; Remove-Item C:"), VALUE],
  ["a value out of its quotes, in Unicode", named("a\u2019; b"), VALUE],
  ["a value on two lines", named("a\nb"), VALUE],
  ["half a character as a value", named("a\ud800"), VALUE],
  ["a parameter that the script has and nobody listed", named("Alice", "Other"), VALUE],
  ["a parameter by the name of a property of all objects", named("a", "__proto__"), VALUE],
  ["another application", application("0".repeat(36), "reevaluate"), APPLICATION],
  ["another action on the listed application", application(LISTED, "install"), APPLICATION],
  [
    "the listed application in a name of another",
    application(`ScopeId_1/Application_${"1".repeat(36)}/${LISTED}`, "reevaluate"),
    APPLICATION,
  ],
  ["recovery keys", recoveryKey(1), ["recovery-keys-refused", rule("actions.allowRecoveryKeys")]],
  ["a custom property", properties(1, { set: { role: "admin" } }), PROPERTY],
  ["one beside the listed one", properties(1, { set: { owner: "b", role: "admin" } }), PROPERTY],
  ["the removal of one", properties(1, { remove: ["role"] }), PROPERTY],
  [
    "the end of something that this bridge did not begin",
    ["site.cancel", { source: "CM1", commandId: "of-somebody-else" }],
    ["action-unknown", "payload.commandId"],
  ],
  ["an entity in other letters", query("ADMINISTRATORS"), ENTITY],
  ["an entity behind a comment", query("OperatingSystem // |\n| join (Administrators)"), ENTITY],
  ["a joined entity", query("OperatingSystem | join (Administrators)"), ENTITY],
  [
    "an entity joined to a joined one",
    query("OperatingSystem | join kind=inner (OperatingSystem | join (Registry('hklm:\\\\sam')))"),
    ENTITY,
  ],
  [
    "another action on the recovery key's device, by its listed name",
    ["site.recovery-key", { source: "CM1", resourceId: "1 or 1" }],
    payload("site.recovery-key"),
  ],
];

/** These cannot be read as a query at all, so that no rule has a say: each fails for that reason and no other. */
const UNREADABLE: readonly (readonly [what: string, asked: Asked, code: string])[] = [
  [
    "a path behind an entity without one",
    query("OperatingSystem('c:\\\\*')"),
    "query-arguments-wrong",
  ],
  ["two queries in one", query("OperatingSystem; Administrators"), "query-outside-language"],
  [
    "an entity by another name",
    query("let OperatingSystem = Administrators; OperatingSystem"),
    "query-outside-language",
  ],
  [
    "an entity in letters that look alike",
    query("\u041eperatingSystem"),
    "query-character-refused",
  ],
];

describe("commands that are signed, and not allowed", () => {
  test("none of them reaches the site, and the rule that is meant for it refuses each", async () => {
    const before = await bridge.posts();
    const ended = await bridge.send([...REFUSED, ...UNREADABLE].map(([, asked]) => asked));
    const told = REFUSED.map(([what], index) => {
      const { state, code, rule: by } = ended[index] ?? {};
      return [what, state, code, by];
    });
    expect(told).toEqual(REFUSED.map(([what, , [code, by]]) => [what, "refused", code, by]));
    const unread = UNREADABLE.map(([what], index) => {
      const { state, code } = ended[REFUSED.length + index] ?? {};
      return [what, state, code];
    });
    expect(unread).toEqual(UNREADABLE.map(([what, , code]) => [what, "failed", code]));
    expect(await bridge.posts()).toEqual(before);
    expect(await bridge.ask("executions")).toEqual([]);
  });
});

test("what the local file allows of the same kinds is done", async () => {
  const ended = await bridge.send([
    notify(devices(1)),
    named("Alice"),
    application(LISTED, "reevaluate"),
    properties(1, { set: { owner: "b" } }),
    query("OperatingSystem"),
  ]);
  expect(ended.map(({ state }) => state)).toEqual(ended.map(() => "succeeded"));
  const ran = await bridge.executionsWithin(1, "script");
  expect(ran.map(({ parameters }) => parameters)).toEqual([{ Name: "Alice" }]);
  expect((await bridge.posts()).filter((path) => path.includes("SetExtensionData"))).toHaveLength(
    1,
  );
});

describe("configurations", () => {
  test.each([
    ["a site that the host does not have", { sites: [{ source: "CM9" }] }],
    [
      "a class beyond the guardrails",
      { sites: [{ source: "CM1", inventoryClasses: ["SMS_G_System_LOCAL_ADMINS"] }] },
    ],
    [
      "a class that is a path",
      { sites: [{ source: "CM1", inventoryClasses: ["SMS_G_System_X?$expand=*"] }] },
    ],
    ["a pace that no site could bear", { sites: [{ source: "CM1", hotSeconds: 0 }] }],
  ])("with %s is refused, and the last good one stays", async (_, configuration) => {
    await bridge.isRefused(configuration);
  });
});
