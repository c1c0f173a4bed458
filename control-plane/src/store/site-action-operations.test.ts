import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ActionFixture,
  APPLICATION_GUID,
  DEVICES,
  type FixtureBridge,
  SCRIPT,
} from "../testing/action-fixture.ts";
import { recordsOf, told } from "../testing/inventory-fixture.ts";

const [FIRST = ""] = DEVICES;
let site: ActionFixture;
let bridge: FixtureBridge;

beforeEach(async () => {
  site = new ActionFixture();
  bridge = await site.readingBridge();
});
afterEach(() => {
  site[Symbol.dispose]();
});

describe("a request", () => {
  test("queues one command for who holds the lease, with devices, audit and timeline", async () => {
    const managedDeviceId = await site.managedDeviceId(FIRST);
    const { id } = await site.request({ target: { managedDeviceId } });
    const [command] = await site.all("SELECT * FROM command");
    expect(command).toMatchObject({
      connector_id: "bridge-1",
      kind: "site.notify",
      actor: "admin",
    });
    expect(JSON.parse(String(command?.["body"]))).toEqual({
      source: "CM1",
      target: { kind: "devices", resourceIds: [Number(FIRST)] },
      notification: "refreshMachinePolicy",
    });
    expect(await site.action(id)).toMatchObject({ state: "queued", command_id: "command-1" });
    expect(await site.devices(id)).toMatchObject([{ key: FIRST, state: "queued" }]);
    const [line] = await site.all("SELECT * FROM timeline_event WHERE kind = 'action.requested'");
    expect(line).toMatchObject({ actor: "admin", title: "Sync machine policy asked for" });
    const [audit] = await site.all(
      "SELECT * FROM audit_journal WHERE event = 'site-action.requested'",
    );
    expect(JSON.parse(String(audit?.["payload"]))).toMatchObject({ source: "CM1", actor: "admin" });
  });

  test("under the same key is the same action, and another request under it is refused", async () => {
    const first = await site.request({ requestKey: "k" });
    expect(await site.request({ requestKey: "k" })).toEqual({ id: first.id, isRepeated: true });
    expect(await rejectedCode(() => site.request({ requestKey: "k", requestHash: "other" }))).toBe(
      "idempotency-key-reused",
    );
    const another = await site.request({ requestKey: "k", actor: "grace" });
    expect(another.isRepeated).toBe(false);
    expect(await site.all("SELECT id FROM command")).toHaveLength(2);
  });

  test.each([
    ["a site that is none", { source: "XX1", resourceIds: [1] }, "site-unknown"],
    ["a device that is none", { source: "CM1", resourceIds: [5] }, "device-unknown"],
    ["a device that is none in the API", { managedDeviceId: "device-1" }, "device-unknown"],
    [
      "a collection that is none",
      { source: "CM1", collectionId: "CM1000FF" },
      "collection-unknown",
    ],
  ])("about %s is refused, and nothing is queued", async (_, target, code) => {
    expect(await rejectedCode(() => site.request({ target }))).toBe(code);
    expect(await site.all("SELECT id FROM command")).toEqual([]);
    expect(await site.all("SELECT id FROM site_action")).toEqual([]);
  });

  test("is refused while no bridge holds the lease, and where the holder is disabled", async () => {
    const act = { actor: "admin", now: site.clock.now() };
    await site.store.run("changeConnector", { ...act, id: "bridge-1", isDisabled: true });
    expect(await rejectedCode(() => site.request())).toBe("site-unattended");
    await site.store.run("changeConnector", { ...act, id: "bridge-1", isDisabled: false });
    await site.request();
    site.clock.advance(120_000);
    expect(await rejectedCode(() => site.request())).toBe("site-unattended");
  });
});

describe("a script", () => {
  const run = (changes: Partial<typeof SCRIPT> = {}) => {
    const { guid, version, sha256 } = { ...SCRIPT, ...changes };
    const payload = {
      scriptGuid: guid,
      version,
      sha256,
      parameters: [{ name: "a", value: "secret" }],
    };
    return site.request({ kind: "site.script", action: "runScript", payload });
  };
  const retell = async (changes: object) => {
    const [row] = await site.all(
      "SELECT value FROM inventory_facet f JOIN inventory_record r ON r.id = f.record_id WHERE r.kind = 'script' AND f.value ->> '$.ApprovalState' IS NOT NULL",
    );
    const stable = { ...JSON.parse(String(row?.["value"])), ...changes };
    const record = told(SCRIPT.guid, 100, { stable }, { kind: "script" });
    await bridge.append("inventory", recordsOf(await bridge.lease(), record));
  };

  test("runs by the version and hash that were looked at, in any case of its GUID", async () => {
    const { id } = await run({ guid: SCRIPT.guid.toLowerCase() });
    const [command] = await site.all("SELECT body FROM command");
    expect(JSON.parse(String(command?.["body"]))).toMatchObject({
      scriptGuid: SCRIPT.guid,
      sha256: SCRIPT.sha256,
    });
    const action = await site.action(id);
    expect(JSON.parse(String(action["details"]))).toEqual({ scriptName: "Clean up" });
  });

  test.each([
    ["another version", { version: "1" }, "script-changed"],
    ["another hash", { sha256: "cd".repeat(32) }, "script-changed"],
    ["no known GUID", { guid: "CCCCCCCC-0000-4000-8000-000000000001" }, "script-unknown"],
  ])("with %s is refused", async (_, changes, code) => {
    expect(await rejectedCode(() => run(changes))).toBe(code);
  });

  test.each([
    ["is not approved", { ApprovalState: 0 }, "script-not-approved"],
    ["was denied", { ApprovalState: 1 }, "script-not-approved"],
    ["was approved by its author", { Approver: "corp\\ADA" }, "script-self-approved"],
    ["has no approver", { Approver: "" }, "script-self-approved"],
    ["has no hash", { ScriptHash: null }, "script-changed"],
  ])("that %s is refused", async (_, changes, code) => {
    await retell(changes);
    expect(await rejectedCode(() => run())).toBe(code);
  });
});

test.each(["17", APPLICATION_GUID, APPLICATION_GUID.toUpperCase()])(
  "an application is found as %s and installed by its GUID",
  async (applicationId) => {
    const payload = { applicationId, action: "install" };
    await site.request({ kind: "site.application", action: "install", payload });
    const [command] = await site.all("SELECT body FROM command");
    expect(JSON.parse(String(command?.["body"]))).toMatchObject({
      applicationId: APPLICATION_GUID,
    });
    const unknown = { applicationId: "bbbbbbbb-0000-4000-8000-00000000000f", action: "install" };
    const refused = site.request({ kind: "site.application", action: "install", payload: unknown });
    expect(await rejectedCode(() => refused)).toBe("application-unknown");
  },
);
