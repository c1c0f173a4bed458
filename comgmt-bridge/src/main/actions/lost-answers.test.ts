import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import {
  type ActingBridge,
  devices,
  FIRST,
  MINUTE_MS,
  SCRIPT,
  SCRIPT_SHA256,
  startActingBridge,
} from "../../testing/acting-bridge.ts";

const NOTIFY = { target: devices(0, 1), notification: "refreshMachinePolicy" };
const RUN_SCRIPT = {
  ...{ target: devices(0, 1), scriptGuid: SCRIPT.guid, version: "1" },
  ...{ sha256: SCRIPT_SHA256, parameters: [{ name: "Name", value: "Ada" }] },
};
const QUERY = { target: devices(0), query: "OS" };

const COMMANDS = [
  ["site.notify", NOTIFY, 2],
  ["site.script", RUN_SCRIPT, 2],
  ["site.query", QUERY, 1],
] as const;

const POST = { method: "POST", path: "Initiate|RunCMPivot" } as const;
const cutBefore = { ...POST, fault: { kind: "cut", when: "before" } } as const;
const cutAfter = { ...POST, fault: { kind: "cut", when: "after" } } as const;

const posts = (it: ActingBridge) => it.site.requests().filter(({ method }) => method === "POST");

/** The bridge dies where the site's answer would have come: nothing but the intent is in its store. */
async function dieBeforeTheAnswer(it: ActingBridge, kind: string, payload: object): Promise<void> {
  const run = it.kernel.store.run.bind(it.kernel.store);
  const store = it.kernel.store as { run: unknown };
  store.run = (name: string, ...rest: unknown[]) =>
    name === "settleRequest"
      ? Promise.reject(new Error("killed"))
      : (run as (...all: unknown[]) => unknown)(name, ...rest);
  await it.run(kind, payload).catch(() => {});
  store.run = run;
  it.restart();
}

describe.each(COMMANDS)("%s", (kind, payload, count) => {
  test("whose answer is lost is found at the site and taken for ours", async () => {
    await using it = await startActingBridge();
    it.site.fault(cutAfter);
    expect(await it.run(kind, payload)).toMatchObject({ operationId: expect.any(Number) });
    await it.look();
    await it.look();
    expect(it.site.executions()).toHaveLength(count);
    expect(it.site.repeated()).toEqual(new Map());
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
  });

  test("that was killed before its answer never runs twice", async () => {
    await using it = await startActingBridge();
    await dieBeforeTheAnswer(it, kind, payload);
    expect(await it.reconcile(kind, payload)).toBe("succeeded");
    for (const ms of [MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS]) await it.look(ms);
    expect(it.site.executions()).toHaveLength(count);
    expect(posts(it)).toHaveLength(1);
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
  });

  test("that was killed before it was begun is run", async () => {
    await using it = await startActingBridge();
    expect(await it.reconcile(kind, payload)).toBe("not-run");
    await it.run(kind, payload);
    await it.look();
    await it.look();
    expect(it.site.executions()).toHaveLength(count);
  });

  test("with an id that was there before asks the site for nothing", async () => {
    await using it = await startActingBridge();
    const first = await it.run(kind, payload);
    expect(await it.run(kind, payload)).toEqual(first);
    await it.look();
    expect(await it.run(kind, payload)).toEqual(first);
    expect(posts(it)).toHaveLength(1);
  });

  test("that the site refuses fails, and its devices with it", async () => {
    await using it = await startActingBridge();
    it.site.fault({ ...POST, fault: { kind: "status", status: 403, body: { error: {} } } });
    expect(await rejectedCode(() => it.run(kind, payload))).toBe("site-forbidden");
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "failed",
      reason: expect.stringMatching(/security role/),
    });
    await it.look(10 * MINUTE_MS);
    expect(posts(it)).toHaveLength(1);
  });

  test("that the provider answers with a fault, and did not begin, fails at once", async () => {
    await using it = await startActingBridge();
    it.site.fault({ ...POST, fault: { kind: "status", status: 500 } });
    expect(await rejectedCode(() => it.run(kind, payload))).toBe("site-failed");
    expect((await it.states()).get(FIRST)?.state).toBe("failed");
  });
});

describe("a request that never reached the site", () => {
  test("is sent again where that is harmless, once the site has had time to settle", async () => {
    await using it = await startActingBridge();
    it.site.fault(cutBefore);
    expect(await it.run("site.notify", NOTIFY)).toEqual({ source: "CM1", devices: 2 });
    await it.look(MINUTE_MS);
    expect(posts(it)).toHaveLength(1);
    for (const ms of [3 * MINUTE_MS, MINUTE_MS, MINUTE_MS]) await it.look(ms);
    expect(posts(it)).toHaveLength(2);
    expect(it.site.executions()).toHaveLength(2);
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
  });

  test("is sent three times at most", async () => {
    await using it = await startActingBridge();
    it.site.fault({ ...cutBefore, times: "always" });
    await it.run("site.notify", NOTIFY);
    for (let round = 0; round < 8; round += 1) await it.look(4 * MINUTE_MS);
    expect(posts(it)).toHaveLength(3);
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "failed",
      reason: "the site did not take it in 3 attempts",
    });
  });

  test("and was a script is not sent again: it ends as unknown", async () => {
    await using it = await startActingBridge();
    it.site.fault(cutBefore);
    await it.run("site.script", RUN_SCRIPT);
    for (const ms of [MINUTE_MS, 3 * MINUTE_MS, 10 * MINUTE_MS]) await it.look(ms);
    expect(posts(it)).toHaveLength(1);
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "unknown",
      reason: expect.stringMatching(/a script is never asked for twice/),
    });
    expect(await it.reconcile("site.script", RUN_SCRIPT)).toBe("unknown");
  });

  test("is left alone while the site cannot be asked", async () => {
    await using it = await startActingBridge();
    it.site.fault(cutBefore);
    it.site.fault({
      method: "GET",
      path: "SMS_ClientOperation",
      fault: { kind: "status", status: 503 },
      times: 3,
    });
    await it.run("site.notify", NOTIFY);
    await it.look(5 * MINUTE_MS);
    expect((await it.states()).get(FIRST)?.state).toBe("queued");
    for (const ms of [5 * MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS, MINUTE_MS]) await it.look(ms);
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
    expect(it.site.repeated()).toEqual(new Map());
  });

  test("is not confused with one of somebody else for the same devices", async () => {
    await using it = await startActingBridge();
    // What this bridge is called at the site it knows from its own operations.
    await it.run("site.notify", { ...NOTIFY, target: devices(9) }, "c0");
    const task = { kind: "notification", type: 8 } as const;
    const targets = [FIRST, FIRST + 1];
    it.site.state.operations.start({ task, collectionId: "", createdBy: "CORP\\console", targets });
    it.site.fault(cutBefore);
    expect(await it.run("site.notify", NOTIFY)).toEqual({ source: "CM1", devices: 2 });
  });

  test("of a bridge that was killed is settled by the next one", async () => {
    for (const [kind, payload, state, count] of [
      ["site.notify", NOTIFY, "succeeded", 2],
      ["site.script", RUN_SCRIPT, "unknown", 0],
    ] as const) {
      await using it = await startActingBridge();
      it.site.fault(cutBefore);
      await dieBeforeTheAnswer(it, kind, payload);
      // As of one that lost its answer and lived: what became of the devices is told later.
      expect(await it.reconcile(kind, payload)).toBe("succeeded");
      for (const ms of [4 * MINUTE_MS, MINUTE_MS, MINUTE_MS]) await it.look(ms);
      expect((await it.states()).get(FIRST)?.state).toBe(state);
      expect(it.site.executions()).toHaveLength(count);
    }
  });

  test("and was one of two runs of a script for the same devices is not taken for the other", async () => {
    await using it = await startActingBridge();
    const other = { ...RUN_SCRIPT, parameters: [{ name: "Name", value: "Bob" }] };
    const deaf = { method: "GET", path: "SMS_ClientOperation", times: "always" } as const;
    const heal = it.site.fault({ ...deaf, fault: { kind: "status", status: 503 } });
    it.site.fault(cutBefore);
    await it.run("site.script", RUN_SCRIPT, "c1");
    it.site.fault(cutAfter);
    await it.run("site.script", other, "c2");
    heal();
    await it.look(4 * MINUTE_MS);
    await it.look();
    const told = (await it.told()).flatMap((entry) =>
      entry.type === "progress"
        ? entry.devices.map(({ key, state }) => `${entry.commandId} ${key} ${state}`)
        : [],
    );
    expect(told).toContain(`c1 ${FIRST} unknown`);
    expect(told).toContain(`c2 ${FIRST} succeeded`);
    expect(told).not.toContain(`c1 ${FIRST} succeeded`);
    expect(it.site.executions()).toHaveLength(2);
  });

  test("is ambiguous where two operations fit, and asked for no second time", async () => {
    await using it = await startActingBridge();
    it.site.fault(cutAfter);
    const task = { kind: "notification", type: 8 } as const;
    const targets = [FIRST, FIRST + 1];
    it.site.state.operations.start({ task, collectionId: "", createdBy: "CORP\\isthmus", targets });
    await it.run("site.notify", NOTIFY);
    await it.look(5 * MINUTE_MS);
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "unknown",
      reason: expect.stringMatching(/several of its operations could be this one/),
    });
    expect(posts(it)).toHaveLength(1);
  });
});
