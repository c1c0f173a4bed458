import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ActionFixture,
  COLLECTION,
  DEVICES,
  type FixtureBridge,
} from "../testing/action-fixture.ts";
import { KEPT_ACTIONS_MS, KEPT_RESULTS_MS, SILENCE_MS } from "./site-action-upkeep.ts";

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

describe("a lease that moves", () => {
  const move = async () => {
    await bridge.lease(true);
    const other = await site.bridge("bridge-2");
    await other.lease();
    return other;
  };

  test("takes actions along whose command never left, signed or not", async () => {
    const { id } = await site.request();
    await site.store.run("takeUnsignedCommands", { limit: 1 });
    await site.store.run("storeCommandSignature", { id: "command-1", jws: "jws" });
    const other = await move();
    expect(await site.deliver(bridge)).toEqual([]);
    const delivered = await site.deliver(other);
    const action = await site.action(id);
    expect(delivered).toEqual([action["command_id"]]);
    expect(action).toMatchObject({ connector_id: "bridge-2", state: "queued" });
    const [before] = await site.all("SELECT state, error FROM command WHERE id = 'command-1'");
    expect(before).toMatchObject({ state: "cancelled" });
    expect(await site.maintain()).toEqual({ rerouted: 0 });
    await other.progress(String(action["command_id"]), [{ key: FIRST, state: "succeeded" }]);
    expect(await site.devices(id)).toMatchObject([{ state: "succeeded" }]);
  });

  test("leaves an action with the bridge that has it", async () => {
    const { id } = await site.request();
    await site.deliver(bridge);
    await move();
    expect(await site.maintain()).toEqual({ rerouted: 0 });
    expect(await site.action(id)).toMatchObject({ connector_id: "bridge-1" });
  });
});

describe("cancelling", () => {
  const cancel = (more: object = {}) =>
    site.store.run("cancelSiteAction", {
      ...{ id: "action-1", source: "CM1", cancelId: "cancel-1", mayCancelOthers: false },
      ...{ actor: "admin", now: site.clock.now(), ...more },
    });

  test("withdraws what never left, and the connector is not told of a hole that it waits for", async () => {
    await site.request();
    expect(await cancel()).toBe("withdrawn");
    expect(await site.action("action-1")).toMatchObject({ state: "cancelled" });
    expect(await site.devices("action-1")).toMatchObject([{ state: "cancelled" }]);
    expect(await site.deliver(bridge)).toEqual([]);
    expect(await rejectedCode(() => cancel())).toBe("site-action-ended");
  });

  test("asks the bridge for what it has, and for what goes on after its result", async () => {
    await site.request();
    await site.deliver(bridge);
    expect(await cancel()).toBe("requested");
    const [first] = await site.all("SELECT kind, supersedes FROM command WHERE id = 'cancel-1'");
    expect(first).toEqual({ kind: "command.cancel", supersedes: '["command-1"]' });
    await bridge.ended("command-1", { source: "CM1", operationId: 1, devices: 1 });
    expect(await cancel({ cancelId: "cancel-2" })).toBe("requested");
    const [second] = await site.all("SELECT kind, body FROM command WHERE id = 'cancel-2'");
    expect(second).toEqual({
      kind: "site.cancel",
      body: '{"source":"CM1","commandId":"command-1"}',
    });
  });

  test("is for who asked, or who may cancel what others asked for", async () => {
    await site.request();
    expect(await rejectedCode(() => cancel({ actor: "grace" }))).toBe("forbidden");
    expect(await rejectedCode(() => cancel({ source: "CM2" }))).toBe("site-action-unknown");
    expect(await cancel({ actor: "grace", mayCancelOthers: true })).toBe("withdrawn");
  });
});

describe("an action of which nothing is heard", () => {
  test("ends as unknown, its devices with the reason, and what comes later still counts", async () => {
    const { id } = await site.request({
      target: { source: "CM1", resourceIds: [FIRST, SECOND].map(Number) },
    });
    await site.deliver(bridge);
    await bridge.ended("command-1", { source: "CM1", operationId: 1, devices: 2 });
    await bridge.progress("command-1", [{ key: FIRST, state: "succeeded" }]);
    site.clock.advance(60 * 60_000 + SILENCE_MS);
    await site.maintain();
    expect(await site.action(id)).toMatchObject({ state: "running" });
    site.clock.advance(1);
    await site.maintain();
    expect(await site.action(id)).toMatchObject({ state: "completed" });
    const [first, second] = await site.devices(id);
    expect(first).toMatchObject({ state: "succeeded" });
    expect(second).toMatchObject({ state: "unknown" });
    expect(second?.["reason"]).toContain("Nothing was heard of it since");
    await bridge.progress("command-1", [{ key: SECOND, state: "failed" }]);
    expect((await site.devices(id))[1]).toMatchObject({ state: "failed" });
  });

  test("a collection of which no device was told is unknown itself", async () => {
    const { id } = await site.request({ target: { source: "CM1", collectionId: COLLECTION } });
    await site.deliver(bridge);
    await bridge.ended("command-1", { source: "CM1", devices: 3 });
    site.clock.advance(60 * 60_000 + SILENCE_MS + 1);
    await site.maintain();
    expect(await site.action(id)).toMatchObject({ state: "unknown" });
  });

  test("and whose command neither side remembers is unknown, and says why", async () => {
    const { id } = await site.request();
    await site.deliver(bridge);
    site.clock.advance(60 * 60_000 + 1);
    await site.store.run("expireCommands", { now: site.clock.now(), graceMs: 0 });
    await site.maintain();
    const reason = expect.stringContaining("what became of it is not known");
    expect(await site.action(id)).toMatchObject({ state: "unknown", reason });
    expect(await site.devices(id)).toMatchObject([{ state: "unknown", reason }]);
  });

  test("and whose command neither side remembers is known again once all of its devices have told their ends", async () => {
    const target = { source: "CM1", resourceIds: [FIRST, SECOND].map(Number) };
    const { id } = await site.request({ target });
    await site.deliver(bridge);
    site.clock.advance(60 * 60_000 + 1);
    await site.store.run("expireCommands", { now: site.clock.now(), graceMs: 0 });
    await site.maintain();
    await bridge.progress("command-1", [{ key: FIRST, state: "succeeded" }]);
    expect(await site.action(id)).toMatchObject({ state: "unknown" });
    await bridge.progress("command-1", [{ key: SECOND, state: "failed" }]);
    expect(await site.action(id)).toMatchObject({ state: "completed", reason: null });
    const [first, second] = await site.devices(id);
    expect(first).toMatchObject({ state: "succeeded", reason: null });
    expect(second).toMatchObject({ state: "failed", reason: null });
  });

  test("whose command never left expires with it", async () => {
    const { id } = await site.request();
    site.clock.advance(60 * 60_000 + 1);
    await site.store.run("expireCommands", { now: site.clock.now(), graceMs: 0 });
    await site.maintain();
    expect(await site.action(id)).toMatchObject({ state: "expired" });
    expect(await site.devices(id)).toMatchObject([{ state: "expired" }]);
  });
});

test("results go after a week, actions after a quarter, and nothing before", async () => {
  const payload = { query: "Device" };
  const { id } = await site.request({ kind: "site.query", action: "runQuery", payload });
  await site.deliver(bridge);
  await bridge.rows("command-1", FIRST, [{ a: 1 }]);
  await bridge.progress("command-1", [{ key: FIRST, state: "succeeded" }]);
  await bridge.ended("command-1", { source: "CM1", operationId: 1, devices: 1 });
  site.clock.advance(KEPT_RESULTS_MS);
  await site.maintain();
  expect(await site.all("SELECT number FROM query_row")).toHaveLength(1);
  site.clock.advance(1);
  await site.maintain();
  expect(await site.all("SELECT number FROM query_row")).toEqual([]);
  expect(await site.action(id)).toMatchObject({ state: "completed", rows_kept: 1 });
  site.clock.advance(KEPT_ACTIONS_MS - KEPT_RESULTS_MS);
  await site.maintain();
  expect(await site.all("SELECT id FROM site_action")).toEqual([]);
  expect(await site.all("SELECT key FROM device_action")).toEqual([]);
});
