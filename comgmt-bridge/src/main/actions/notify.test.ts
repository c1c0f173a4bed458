import { NOTIFICATIONS } from "@isthmus/shared/link/site-messages";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import {
  type ActingBridge,
  collection,
  devices,
  FIRST,
  HOUR_MS,
  startActingBridge,
} from "../../testing/acting-bridge.ts";

const POLICY = { target: devices(0, 1), notification: "refreshMachinePolicy" };

describe("a notification", () => {
  test("is sent to the very devices, told as sent, and as done once the site counts them", async () => {
    await using it = await startActingBridge();
    const answer = await it.run("site.notify", POLICY);
    expect(answer).toEqual({ source: "CM1", devices: 2, operationId: expect.any(Number) });
    expect((await it.states()).get(FIRST)).toEqual({ key: String(FIRST), state: "sent" });
    await it.look();
    const told = (await it.told()).flatMap((entry) =>
      entry.type === "progress" ? entry.devices.map(({ state }) => state) : [],
    );
    expect(told).toEqual(["queued", "queued", "sent", "sent", "succeeded", "succeeded"]);
    expect(it.site.executions().map(({ resourceId, what }) => [resourceId, what])).toEqual(
      expect.arrayContaining([
        [FIRST, "8"],
        [FIRST + 1, "8"],
      ]),
    );
    expect(it.kernel.woken).toContain("actions");
  });

  test("is watched without anybody's doing, and shown as open until its devices are done", async () => {
    await using it = await startActingBridge({
      site: { behaviour: { answerMinMs: 0, answerMaxMs: 0 } },
    });
    it.start();
    await it.run("site.notify", POLICY);
    await until(async () => (await it.states()).get(FIRST)?.state === "succeeded", "the news");
    await until(() => it.kernel.figures.get("site-actions-open")?.() === 0, "the figure");
  });

  test("is looked at also when the clock was set back", async () => {
    await using it = await startActingBridge();
    await it.run("site.notify", POLICY);
    it.site.fault({ method: "GET", path: "", fault: { kind: "cut", when: "before" } });
    await it.look();
    expect((await it.states()).get(FIRST)?.state).toBe("sent");
    it.clock.advance(-HOUR_MS);
    await it.look(0);
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
  });

  test("of every kind has a type that the site knows", async () => {
    await using it = await startActingBridge({
      actions: { notifications: NOTIFICATIONS.filter((each) => each !== "restart") },
    });
    for (const notification of NOTIFICATIONS) {
      await it.run("site.notify", { target: devices(3), notification }, notification);
    }
    await it.look();
    const types = it.site.executions().map(({ what }) => Number(what));
    expect(types.toSorted((a, b) => a - b)).toEqual([
      ...[1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 22, 125, 150],
    ]);
  });

  test("for a collection goes to the members that it has at the site at this moment", async () => {
    await using it = await startActingBridge({
      actions: { targets: { CM1: { collections: ["CM100014"] } } },
    });
    const members = [FIRST + 2, FIRST + 5, FIRST + 30];
    it.site.change({ kind: "collection", id: "CM100014", name: "Pilot", members });
    const answer = await it.run("site.notify", { ...POLICY, target: collection("CM100014") });
    expect(answer).toMatchObject({ devices: 3 });
    await it.look();
    expect([...(await it.states()).keys()]).toEqual(members);
    expect(it.site.executions()).toHaveLength(3);
  });

  test("whose devices the site counts and does not name ends as unknown where they differ", async () => {
    await using it = await startActingBridge({
      site: { behaviour: { answerMinMs: 1_000, answerMaxMs: 2_000, failingShare: 0.5 } },
    });
    await it.run("site.notify", { ...POLICY, target: devices(0, 1, 2, 3, 4, 5, 6, 7) });
    await it.look();
    const states = [...(await it.states()).values()];
    expect(new Set(states.map(({ state }) => state))).toEqual(new Set(["unknown"]));
    expect(states[0]?.reason).toMatch(/counts \d that did it and \d that failed, of 8/);
    const told = (await it.told()).flatMap((entry) =>
      entry.type === "progress" && entry.counts !== undefined ? [entry.counts] : [],
    );
    expect(told).toHaveLength(1);
    const { succeeded = 0, failed = 0 } = told[0]?.devices ?? {};
    expect(succeeded + failed).toBe(8);
    expect(Math.min(succeeded, failed)).toBeGreaterThan(0);
  });

  test("that a device never took is expired once the site gives it up", async () => {
    await using it = await startActingBridge({ site: { onlineShare: 0 } });
    await it.run("site.notify", POLICY, "c1", { expiresAt: it.clock.now() + 5 * HOUR_MS });
    await it.look();
    expect((await it.states()).get(FIRST)?.state).toBe("sent");
    await it.look(2 * HOUR_MS);
    expect((await it.states()).get(FIRST)).toMatchObject({ state: "expired" });
    expect(it.site.executions()).toEqual([]);
  });

  test("that may still be carried out when the command's time is over is unknown, with its reason", async () => {
    await using it = await startActingBridge({ site: { onlineShare: 0 } });
    await it.run("site.notify", POLICY, "c1", { expiresAt: it.clock.now() + 60_000 });
    await it.look(5 * 60_000);
    expect((await it.states()).get(FIRST)?.state).toBe("sent");
    await it.look(10 * 60_000);
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "unknown",
      reason: expect.stringMatching(/operation \d+ may still be carried out/),
    });
  });
});

describe("a notification that the guardrails do not allow", () => {
  const ruleOf = async (it: ActingBridge, payload: object) =>
    await it.run("site.notify", payload).then(
      () => "nothing",
      (error: { readonly rule?: string }) => error.rule,
    );
  const RULE = "guardrails.comgmt-bridge.actions";

  test("names its rule, and nothing reaches the site", async () => {
    await using it = await startActingBridge({
      actions: {
        targets: { CM1: { collections: ["CM100014"], never: ["SMS00001"] } },
        maxDevicesPerAction: 3,
        restart: undefined,
      },
    });
    it.site.change({ kind: "collection", id: "CM100014", name: "Pilot", members: [FIRST + 1] });
    expect(await ruleOf(it, { ...POLICY, notification: "collectLogs" })).toBe(
      `${RULE}.notifications`,
    );
    expect(await ruleOf(it, { ...POLICY, notification: "restart" })).toBe(`${RULE}.restart`);
    expect(await ruleOf(it, { ...POLICY, target: devices(0, 1, 2, 3) })).toBe(
      `${RULE}.maxDevicesPerAction`,
    );
    expect(await ruleOf(it, { ...POLICY, target: devices(0, 1) })).toBe(`${RULE}.targets.CM1`);
    expect(await ruleOf(it, { ...POLICY, target: devices(1) })).toBe(`${RULE}.targets.CM1.never`);
    expect(await ruleOf(it, { ...POLICY, target: collection("CM100019") })).toBe(
      `${RULE}.targets.CM1.collections`,
    );
    expect(await ruleOf(it, { ...POLICY, source: "XYZ" })).toBe("site.siteCode");
    expect(it.site.requests().filter(({ method }) => method === "POST")).toEqual([]);
  });

  test("because a collection has grown, or has nobody", async () => {
    await using it = await startActingBridge({ actions: { maxDevicesPerAction: 3 } });
    const target = collection("CM100014");
    const define = (members: number[]) =>
      it.site.change({ kind: "collection", id: "CM100014", name: "Pilot", members });
    define([]);
    expect(await rejectedCode(() => it.run("site.notify", { ...POLICY, target }))).toBe(
      "target-empty",
    );
    define([FIRST, FIRST + 1, FIRST + 2, FIRST + 3]);
    expect(await rejectedCode(() => it.run("site.notify", { ...POLICY, target }))).toBe(
      "devices-too-many",
    );
    define([FIRST, FIRST + 1, FIRST + 2]);
    expect(await it.run("site.notify", { ...POLICY, target })).toMatchObject({ devices: 3 });
  });

  test("because of its size before a second person is asked for", async () => {
    const actions = { maxDevicesPerAction: 3, approval: { above: 0 } };
    await using it = await startActingBridge({ actions });
    const members = [0, 1, 2, 3].map((n) => FIRST + n);
    it.site.change({ kind: "collection", id: "CM100014", name: "Pilot", members });
    const order = { ...POLICY, target: collection("CM100014") };
    await expect(it.run("site.notify", order)).rejects.toThrow(
      "there are more than the 3 devices of one action",
    );
    expect(await it.run("site.notify", { ...POLICY, target: devices(0) })).toBe("await-approval");
  });

  test("because many small ones are one big one", async () => {
    const window = { max: 5, perMinutes: 60 };
    await using it = await startActingBridge({ limits: { "site-devices-notified": window } });
    await it.run("site.notify", { ...POLICY, target: devices(0, 1) }, "c1");
    await it.run("site.notify", { ...POLICY, target: devices(2, 3) }, "c2");
    const third = it.run("site.notify", { ...POLICY, target: devices(4, 5) }, "c3");
    await expect(third).rejects.toMatchObject({
      code: "limit-exceeded",
      rule: "guardrails.commands.limits.site-devices-notified",
    });
    it.restart();
    expect(await it.run("site.notify", { ...POLICY, target: devices(4) }, "c4")).toMatchObject({
      devices: 1,
    });
    it.clock.advance(61 * 60_000);
    expect(await it.run("site.notify", { ...POLICY, target: devices(4, 5) }, "c5")).toMatchObject({
      devices: 2,
    });
  });

  test("restarts have a number of devices and a window of their own", async () => {
    const window = { max: 3, perMinutes: 60 };
    await using it = await startActingBridge({ limits: { "site-devices-restarted": window } });
    const restart = (numbers: readonly number[], id: string) =>
      it.run("site.notify", { target: devices(...numbers), notification: "restart" }, id);
    expect(await rejectedCode(() => restart([0, 1, 2], "c1"))).toBe("devices-too-many");
    await restart([0, 1], "c2");
    expect(await rejectedCode(() => restart([2, 3], "c3"))).toBe("limit-exceeded");
    await restart([2], "c4");
  });
});

describe("above the threshold of the guardrails", () => {
  const approval = { above: 3, perMinutes: 60, signatures: 2, local: true };
  const consent = { isLocal: true, signatures: 0 };

  test("an action waits for a second person, whether it is big or one of many", async () => {
    await using it = await startActingBridge({ actions: { approval } });
    const asked = (numbers: readonly number[], id: string, more: object = {}) =>
      it.run("site.notify", { ...POLICY, target: devices(...numbers) }, id, more);
    expect(await asked([0, 1, 2, 3], "c1")).toBe("await-approval");
    expect(await asked([0, 1, 2, 3], "c1", { consent })).toMatchObject({ devices: 4 });
    expect(await asked([4, 5], "c2")).toMatchObject({ devices: 2 });
    expect(await asked([6, 7], "c3")).toBe("await-approval");
    expect(await asked([6, 7], "c3", { consent: { isLocal: false, signatures: 1 } })).toBe(
      "await-approval",
    );
    expect(await asked([6, 7], "c3", { consent: { isLocal: false, signatures: 2 } })).toMatchObject(
      {
        devices: 2,
      },
    );
    expect(await asked([8], "c4")).toMatchObject({ devices: 1 });
  });

  test("a collection that grew between the judgement and the run is refused", async () => {
    await using it = await startActingBridge({ actions: { approval } });
    const target = collection("CM100014");
    const define = (members: number[]) =>
      it.site.change({ kind: "collection", id: "CM100014", name: "Pilot", members });
    define([FIRST, FIRST + 1, FIRST + 2]);
    const grown = { ...POLICY, target };
    await it.judge("site.notify", grown);
    define([FIRST, FIRST + 1, FIRST + 2, FIRST + 3]);
    expect(await it.run("site.notify", grown)).toBe("await-approval");
    expect(await rejectedCode(() => it.runJudged("site.notify", grown))).toBe("approval-missing");
    expect(it.site.executions()).toEqual([]);
  });
});
