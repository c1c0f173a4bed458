import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { type ApprovedCommand, signApproval } from "@isthmus/shared/kernel/approvals";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import { until } from "@isthmus/shared/testing/until";
import { DEMO_SITE } from "@isthmus/suite/process/configuration-manager";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Asked,
  AttackedBridge,
  application,
  devices,
  type ForgedCommand,
  GREETING,
  GREETING_SHA256,
  notify,
  properties,
  query,
  recoveryKey,
  script,
} from "./hostile/attacked-bridge.ts";

/** What is allowed, cut into many small pieces or with consents that nobody gave: the windows and the approvers of the bridge's host hold. */

const OPEN = "CM10002B";
const LISTED = "3d1c3d0e-5f0a-4a6e-9d0b-1f2e3d4c5b6a";
const NOTIFIED = 5;

let bridge: AttackedBridge;

beforeAll(async () => {
  bridge = await AttackedBridge.open();
  await bridge.ask("change", {
    ...{ kind: "collection", id: OPEN, name: OPEN },
    members: [10, 11].map((number) => DEMO_SITE.firstResourceId + number),
  });
  await bridge.tighten((guardrails) => {
    guardrails.commands.allow.push(
      ...["site.application", "site.recovery-key", "site.custom-properties"],
    );
    const window = (max: number) => ({ max, perMinutes: 60 });
    guardrails.commands.limits = {
      "site-devices-notified": window(NOTIFIED),
      "site-devices-queried": window(2),
      "site-devices-scripted": window(3),
      "site-devices-restarted": window(2),
      "site-devices-installed": window(2),
      "site-devices-described": window(2),
      "site-recovery-keys": window(1),
    };
    const { actions } = guardrails["comgmt-bridge"];
    actions.targets = { CM1: { collections: ["SMS00001", OPEN] } };
    actions.notifications = ["refreshMachinePolicy", "refreshUserPolicy"];
    actions.restart = { maxDevicesPerAction: 1 };
    actions.scripts = [
      {
        ...{ scriptGuid: GREETING.guid, version: "1", sha256: GREETING_SHA256 },
        parameters: { Name: "[A-Za-z]{1,10}" },
      },
    ];
    actions.applications = [{ applicationId: LISTED, actions: ["reevaluate"] }];
    actions.customProperties = ["owner"];
    actions.allowRecoveryKeys = true;
    guardrails["comgmt-bridge"].queries = { entities: ["OperatingSystem"] };
  });
});

afterAll(() => bridge[Symbol.asyncDispose]());

const YES = "succeeded";
const limit = (kind: string) => `guardrails.commands.limits.${kind}`;
const restart = (...numbers: readonly number[]) => notify(devices(...numbers), "restart");

async function outcomes(asked: readonly Asked[]): Promise<readonly string[]> {
  const ended = await bridge.send(asked);
  return ended.map(({ state, rule }) => (state === "refused" ? String(rule) : state));
}

describe("what is allowed, cut into many small pieces", () => {
  test("comes to the window of the host and no further, over kinds of notifications and targets", async () => {
    const full = limit("site-devices-notified");
    const told = await outcomes([
      notify(devices(1, 2)),
      notify(devices(3), "refreshUserPolicy"),
      notify({ kind: "collection", collectionId: OPEN }),
      notify(devices(4), "refreshUserPolicy"),
      notify(devices(5)),
      notify(devices(6, 6, 6)),
    ]);
    expect(told).toEqual([YES, YES, YES, full, full, full]);
    await until(
      async () => (await bridge.executions("notification")).length === NOTIFIED,
      "all that was allowed",
      30_000,
    );
  });

  test("and after the bridge was killed the window is as full as it was", async () => {
    await bridge.suite.halt("comgmt-bridge", "kill");
    await bridge.suite.launch("comgmt-bridge");
    const full = limit("site-devices-notified");
    const told = await outcomes([notify(devices(20)), notify(devices(21), "refreshUserPolicy")]);
    expect(told).toEqual([full, full]);
    expect(await bridge.executions("notification")).toHaveLength(NOTIFIED);
  });

  test("scripts, queries, restarts, applications, properties and keys have windows of their own, in which each device counts", async () => {
    const named = (value: string, ...numbers: readonly number[]) =>
      script({ target: devices(...numbers), parameters: [{ name: "Name", value }] });
    const rows: readonly (readonly [Asked, string])[] = [
      [named("One", 1), YES],
      [named("Two", 2, 3), YES],
      [named("Three", 4), limit("site-devices-scripted")],
      [script({ target: devices(1) }), limit("site-devices-scripted")],
      [query("OperatingSystem", devices(1)), YES],
      [
        query("OperatingSystem | where Caption != 'x'", devices(2, 3)),
        limit("site-devices-queried"),
      ],
      [query("operatingsystem // the same", devices(2)), YES],
      [query("OperatingSystem", devices(3)), limit("site-devices-queried")],
      [restart(1), YES],
      [restart(2, 3), "guardrails.comgmt-bridge.actions.restart.maxDevicesPerAction"],
      [restart(2), YES],
      [restart(3), limit("site-devices-restarted")],
      [application(LISTED, "reevaluate", devices(1, 2)), YES],
      [application(LISTED, "reevaluate", devices(3)), limit("site-devices-installed")],
      [properties(1, { set: { owner: "a" } }), YES],
      [properties(1, { set: { owner: "b" } }), YES],
      [properties(2, { remove: ["owner"] }), limit("site-devices-described")],
      [recoveryKey(1), YES],
      [recoveryKey(2), limit("site-recovery-keys")],
    ];
    expect(await outcomes(rows.map(([asked]) => asked))).toEqual(rows.map(([, by]) => by));
    expect(await bridge.executionsWithin(3, "script")).toHaveLength(3);
  });
});

describe("consents that nobody gave", () => {
  const key = () => generateKeyPairSync("ed25519").privateKey;
  const [alice, bob, stranger] = [key(), key(), key()];
  const asApproved =
    (change: Partial<ApprovedCommand>, by: KeyObject) => (command: ForgedCommand) =>
      signApproval({ ...command, ...change }, by);
  const consents =
    (...of: readonly ((command: ForgedCommand) => Promise<string>)[]) =>
    (command: ForgedCommand) =>
      Promise.all(of.map((sign) => sign(command)));
  const byAlice = asApproved({}, alice);
  const byBob = asApproved({}, bob);
  /** Signed by the approver, and with a header that names the attacker's key or none. */
  const withHeader = (header: object) => async (command: ForgedCommand) => {
    const [, payload, signature] = (await signApproval(command, stranger)).split(".");
    return [Buffer.from(JSON.stringify(header)).toString("base64url"), payload, signature].join(
      ".",
    );
  };
  const forgeries = {
    "by nobody else": undefined,
    "by the same approver again": byAlice,
    "by the tenant's key": (command: ForgedCommand) => signApproval(command, bridge.tenantKey()),
    "by a stranger": asApproved({}, stranger),
    "to another command": asApproved({ id: "hostile-1" }, bob),
    "to another kind": asApproved({ kind: "site.refresh" }, bob),
    "to other devices": asApproved({ payload: { source: "CM1", resourceIds: [1] } }, bob),
    "at another connector": asApproved({ aud: "another" }, bob),
    "that has expired": asApproved({ expiresAt: Date.now() - 1_000 }, bob),
    "under the approver's name": withHeader({ alg: "EdDSA", kid: "bob", typ: "approval" }),
    "with a key of its own": withHeader({ alg: "EdDSA", jwk: publicKeyOf(stranger) }),
    "without a signature": withHeader({ alg: "none" }),
  };
  const KINDS: readonly Asked[] = [
    notify(devices(30)),
    script({ target: devices(30), parameters: [{ name: "Name", value: "Bob" }] }),
    query("OperatingSystem", devices(30)),
    application(LISTED, "reevaluate", devices(30)),
    properties(30, { set: { owner: "b" } }),
    recoveryKey(30),
  ];

  beforeAll(async () => {
    await bridge.tighten((guardrails) => {
      guardrails.commands.limits = {};
      const rule = { signatures: 2, local: false };
      guardrails.commands.approval = Object.fromEntries(
        KINDS.slice(1).map(([kind]) => [kind, rule]),
      );
      guardrails.approvers = [
        { name: "alice", publicKey: publicKeyOf(alice) },
        { name: "bob", publicKey: publicKeyOf(bob) },
      ];
      // Of notifications any device is one too many.
      guardrails["comgmt-bridge"].actions.approval = { above: 0, ...rule };
    });
  });

  test("are worth nothing for any kind of action, whoever and whatever they are by", async () => {
    const asked: Asked[] = [];
    const given: ReturnType<typeof consents>[] = [];
    const wanted: unknown[] = [];
    for (const [what, forged] of Object.entries(forgeries)) {
      for (const each of KINDS) {
        const [kind] = each;
        asked.push(each);
        given.push(forged === undefined ? consents(byAlice) : consents(byAlice, forged));
        const rule =
          kind === "site.notify"
            ? "guardrails.comgmt-bridge.actions.approval"
            : `guardrails.commands.approval.${kind}`;
        wanted.push([what, kind, "refused", "approval-missing", rule]);
      }
    }
    const before = await bridge.posts();
    const ended = await bridge.send(asked, given);
    const names = Object.keys(forgeries).flatMap((what) => KINDS.map(([kind]) => [what, kind]));
    const told = ended.map(({ state, code, rule }, index) => [
      ...(names[index] ?? []),
      ...[state, code, rule],
    ]);
    expect(told).toEqual(wanted);
    expect(await bridge.posts()).toEqual(before);
  });

  test("and those that both approvers gave let each of them run", async () => {
    const both = consents(byAlice, byBob);
    const ended = await bridge.send(
      KINDS,
      KINDS.map(() => both),
    );
    expect(ended.map(({ state }) => state)).toEqual(KINDS.map(() => YES));
  });
});
