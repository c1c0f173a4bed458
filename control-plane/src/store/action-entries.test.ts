import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ActionFixture,
  COLLECTION,
  DEVICES,
  type FixtureBridge,
} from "../testing/action-fixture.ts";
import { entryHandlerOf } from "./connector-entries.ts";

const [FIRST = "", SECOND = ""] = DEVICES;
let site: ActionFixture;
let bridge: FixtureBridge;

beforeEach(async () => {
  site = new ActionFixture();
  bridge = await site.readingBridge();
});
afterEach(() => {
  site[Symbol.dispose]();
});

describe("progress", () => {
  const collection = { source: "CM1", collectionId: COLLECTION };

  test("takes an action from its command to its last device, in whatever order news come", async () => {
    const { id } = await site.request({ target: collection });
    expect(await site.deliver(bridge)).toEqual(["command-1"]);
    await bridge.progress("command-1", [{ key: FIRST, state: "sent" }]);
    expect(await site.action(id)).toMatchObject({ state: "running" });
    await bridge.ended("command-1", { source: "CM1", operationId: 7, devices: 2 });
    expect(await site.action(id)).toMatchObject({ operation_id: 7, expected_devices: 2 });
    await bridge.progress("command-1", [{ key: FIRST, state: "succeeded" }]);
    expect(await site.action(id)).toMatchObject({ state: "running", ended_at: null });
    await bridge.progress("command-1", [
      { key: SECOND, state: "failed", errorCode: -2016410844, reason: "0x87D00324" },
    ]);
    expect(await site.action(id)).toMatchObject({ state: "completed" });
    const [result] = await site.all(
      "SELECT * FROM device_action_result r JOIN inventory_record i ON i.id = r.record_id WHERE i.key = ?",
      SECOND,
    );
    expect(result).toMatchObject({
      action_name: "refreshMachinePolicy",
      action_state: "failed",
      action_delivery_status: "deliveredToOnPremisesServer",
      error_code: -2016410844,
    });
    const ends = await site.all("SELECT title FROM timeline_event WHERE kind = 'action.ended'");
    expect(ends.map(({ title }) => title)).toEqual([
      "Sync machine policy succeeded",
      "Sync machine policy failed",
    ]);
  });

  test("that the bridge has it shows although nothing ran", async () => {
    const { id } = await site.request();
    await site.deliver(bridge);
    await bridge.reports("command-1", "accepted");
    expect(await site.action(id)).toMatchObject({ state: "sent", ended_at: null });
  });

  test("that waits for a person there says what for, once in each timeline, until it goes on", async () => {
    const waitsFor = {
      code: "awaiting-approval",
      message: "somebody has to approve it",
      rule: "r",
    };
    const reason = "somebody has to approve it (r)";
    const { id } = await site.request();
    await site.deliver(bridge);
    await bridge.reports("command-1", "accepted");
    for (const _again of [1, 2]) await bridge.reports("command-1", "accepted", waitsFor);
    await bridge.reports("command-1", "accepted");
    expect(await site.action(id)).toMatchObject({ state: "waitingForApproval", reason });
    for (const device of await site.devices(id)) {
      expect(device).toMatchObject({ state: "queued", reason });
    }
    expect(
      await site.all("SELECT action_delivery_status AS status FROM device_action_result"),
    ).toContainEqual({ status: "deliveredToConnectorService" });
    const lines = await site.all("SELECT * FROM timeline_event WHERE kind = 'action.waiting'");
    expect(lines).toHaveLength((await site.devices(id)).length);
    expect(lines[0]).toMatchObject({ title: "Sync machine policy waits for approval" });
    await bridge.reports("command-1", "running");
    expect(await site.action(id)).toMatchObject({ state: "sent", reason: null });
    expect((await site.devices(id)).map(({ reason: told }) => told)).not.toContain(reason);
    await bridge.reports("command-1", "accepted", waitsFor);
    expect(await site.action(id)).toMatchObject({ state: "sent" });
  });

  test("that nobody approves in time expires, and no wait is left as its reason", async () => {
    const waitsFor = { code: "awaiting-approval", message: "somebody has to approve it" };
    const { id } = await site.request();
    await site.deliver(bridge);
    await bridge.reports("command-1", "accepted", waitsFor);
    await bridge.ended("command-1", undefined, { state: "expired" });
    expect(await site.action(id)).toMatchObject({ state: "expired", reason: null });
    expect(await site.devices(id)).toMatchObject([{ state: "expired", reason: null }]);
  });

  test("of a refusal says that the site never had it", async () => {
    const { id } = await site.request();
    await site.deliver(bridge);
    await bridge.ended("command-1", undefined, { state: "refused" });
    expect(await site.action(id)).toMatchObject({ state: "refused" });
    expect(await site.all("SELECT * FROM device_action_result")).toMatchObject([
      { action_state: "failed", action_delivery_status: "failedToDeliverToConnectorService" },
    ]);
  });

  test("that the site counts and does not name ends with how many came to which end", async () => {
    const { id } = await site.request({ target: collection });
    const key = (n: number) => ({ key: String(n), state: "unknown" as const });
    const counts = { operationId: 7, devices: { succeeded: 3, failed: 1 } };
    for (const _again of [1, 2]) {
      await bridge.progress("command-1", [1, 2, 3, 4].map(key), counts);
    }
    const later = { operationId: 8, devices: { succeeded: 1, expired: 1 } };
    await bridge.progress("command-1", [5, 6].map(key), later);
    await bridge.ended("command-1", { source: "CM1", devices: 6 });
    const action = await site.action(id);
    expect(action).toMatchObject({
      state: "completed",
      reason: "the site counts 1 succeeded, 1 expired and does not say which",
    });
    expect(JSON.parse(String(action?.["site_counts"]))).toEqual({
      7: counts.devices,
      8: later.devices,
    });
  });

  test("of devices that are unknown here is kept without a record", async () => {
    const { id } = await site.request({ target: collection });
    await bridge.progress("command-1", [{ key: "99", state: "running" }]);
    expect(await site.devices(id)).toMatchObject([{ key: "99", record_id: null }]);
  });

  test("from another bridge than the one that was asked is a dead letter", async () => {
    await site.request();
    const other = await site.bridge("bridge-2");
    const { rejected } = await other.progress("command-1", [{ key: FIRST, state: "failed" }]);
    expect(rejected).toEqual([{ seq: 1, code: "action-contradicts" }]);
    const unknown = await bridge.progress("command-9", [{ key: FIRST, state: "failed" }]);
    expect(unknown.rejected).toEqual([{ seq: 1, code: "action-unknown" }]);
    expect(await site.devices("action-1")).toMatchObject([{ state: "queued" }]);
  });

  test("is not taken from a connector that is no bridge", async () => {
    expect(entryHandlerOf("actions", "comgmt-bridge")).toBeDefined();
    expect(entryHandlerOf("actions", "cert-connector")).toBeUndefined();
  });

  test.each([
    ["refused", "failed"],
    ["failed", "failed"],
    ["expired", "expired"],
    ["unknown", "unknown"],
    ["cancelled", "cancelled"],
  ])("a command that ends as %s ends its devices as %s, with its reason", async (state, device) => {
    const { id } = await site.request();
    await site.deliver(bridge);
    const error = { code: "script-not-allowed", message: "not here", rule: "guardrails.x" };
    await bridge.ended("command-1", undefined, { state, error });
    expect(await site.action(id)).toMatchObject({ state, reason: "not here (guardrails.x)" });
    expect(await site.devices(id)).toMatchObject([
      { state: device, reason: "not here (guardrails.x)" },
    ]);
  });

  test("what was unknown gets its end when it comes after all", async () => {
    const { id } = await site.request();
    await site.deliver(bridge);
    await bridge.ended("command-1", undefined, { state: "unknown" });
    await bridge.progress("command-1", [{ key: FIRST, state: "succeeded" }]);
    expect(await site.devices(id)).toMatchObject([{ state: "succeeded" }]);
    await bridge.progress("command-1", [{ key: FIRST, state: "failed" }]);
    expect(await site.devices(id)).toMatchObject([{ state: "succeeded" }]);
  });
});

describe("a query", () => {
  const ask = () =>
    site.request({ kind: "site.query", action: "runQuery", payload: { query: "Device" } });
  const rows = () => site.all("SELECT number, key, value FROM query_row ORDER BY number");

  test("keeps rows in the order in which they came, and says which client cut its answer", async () => {
    const { id } = await ask();
    await bridge.rows("command-1", FIRST, [{ a: 1 }, { a: 2 }], true);
    await bridge.rows("command-1", FIRST, [{ a: 3 }]);
    expect(await rows()).toEqual([
      { number: 1, key: FIRST, value: '{"a":1}' },
      { number: 2, key: FIRST, value: '{"a":2}' },
      { number: 3, key: FIRST, value: '{"a":3}' },
    ]);
    expect(await site.devices(id)).toMatchObject([
      { state: "running", rows_kept: 3, is_truncated: 1 },
    ]);
    expect(await site.action(id)).toMatchObject({ rows_kept: 3, is_truncated: 1 });
  });

  test("passes rows over that come once more after the device's end", async () => {
    await ask();
    await bridge.rows("command-1", FIRST, [{ a: 1 }]);
    await bridge.progress("command-1", [{ key: FIRST, state: "succeeded" }]);
    await bridge.rows("command-1", FIRST, [{ a: 1 }]);
    expect(await rows()).toHaveLength(1);
  });

  test("has no rows where a script was asked for", async () => {
    await site.request();
    const { rejected } = await bridge.rows("command-1", FIRST, [{}]);
    expect(rejected).toEqual([{ seq: 1, code: "action-contradicts" }]);
  });
});
