import { describe, expect, test } from "vitest";
import {
  type ActingBridge,
  collection,
  devices,
  FIRST,
  HOUR_MS,
  startActingBridge,
} from "../../testing/acting-bridge.ts";

const posts = (it: ActingBridge) => it.site.requests().filter(({ method }) => method === "POST");
const stateOf = async (it: ActingBridge, number: number) => (await it.states()).get(FIRST + number);

const NEVER = { targets: { CM1: { collections: ["SMS00001"], never: ["CM10002A"] } } };
const forbid = (it: ActingBridge, ...numbers: readonly number[]) =>
  it.site.change({
    ...{ kind: "collection", id: "CM10002A", name: "Never" },
    members: numbers.map((number) => FIRST + number),
  });

describe("what waits to be sent", () => {
  test("is not sent any more to a device that was put into a collection which is never touched", async () => {
    await using it = await startActingBridge({ actions: NEVER });
    forbid(it);
    await it.run("site.query", { target: devices(0, 1, 2), query: "OS" });
    expect(posts(it)).toHaveLength(1);
    forbid(it, 1);
    for (let round = 0; round < 3; round += 1) await it.look();
    expect(await stateOf(it, 1)).toMatchObject({
      state: "failed",
      reason: expect.stringMatching(/guardrails\.comgmt-bridge\.actions\.targets\.CM1\.never/),
    });
    expect((await stateOf(it, 2))?.state).toBe("succeeded");
    expect(it.site.executions().map(({ resourceId }) => resourceId)).toEqual([FIRST, FIRST + 2]);
  });

  test("is not asked again of a device that has left the collections which may be targeted", async () => {
    await using it = await startActingBridge({
      actions: { targets: { CM1: { collections: ["CM10002B"] } } },
      site: { onlineShare: 0 },
    });
    const pilot = { kind: "collection", id: "CM10002B", name: "Pilot" } as const;
    it.site.change({ ...pilot, members: [FIRST, FIRST + 1] });
    const expiresAt = it.clock.now() + 9 * HOUR_MS;
    const target = collection("CM10002B");
    await it.run("site.query", { target, query: "OS" }, "c1", { expiresAt });
    await it.look(1_000);
    expect(posts(it)).toHaveLength(2);
    for (let round = 0; round < 3; round += 1) await it.look(HOUR_MS);
    it.site.change({ ...pilot, members: [FIRST] });
    for (const number of [0, 1]) {
      it.site.change({ kind: "online", resourceId: FIRST + number, isOnline: true });
    }
    await it.look();
    await it.look();
    expect(posts(it)).toHaveLength(3);
    expect((await stateOf(it, 0))?.state).toBe("succeeded");
    expect((await stateOf(it, 1))?.state).toBe("failed");
  });

  test.each([
    ["queries are not allowed any more", { allowQueries: false }],
    ["the site has no targets any more", { targets: {} }],
  ])("is not sent by a bridge that starts again where %s", async (_, changed) => {
    await using it = await startActingBridge();
    await it.run("site.query", { target: collection("SMS00001"), query: "OS" });
    expect(posts(it)).toHaveLength(1);
    it.restart(changed);
    for (let round = 0; round < 3; round += 1) await it.look();
    expect(posts(it)).toHaveLength(1);
    const states = [...(await it.states()).values()].map(({ state }) => state);
    expect(states.filter((state) => state === "failed")).toHaveLength(39);
  });

  test("is not sent again as a notification that somebody has struck off the list", async () => {
    await using it = await startActingBridge();
    it.site.fault({ method: "POST", fault: { kind: "cut", when: "before" } });
    const notification = "wakeUpClient";
    await it.run("site.notify", { target: devices(0), notification }).catch(() => {});
    const sent = posts(it).length;
    it.restart({ notifications: [] });
    for (let round = 0; round < 4; round += 1) await it.look();
    expect(posts(it)).toHaveLength(sent);
    expect(it.site.executions()).toEqual([]);
    expect((await stateOf(it, 0))?.reason).toMatch(/wakeUpClient is not listed/);
  });
});

describe("a command that is taken up again", () => {
  const open = async (it: ActingBridge) => {
    // What a process leaves behind that dies between opening an action and sending it.
    await it.kernel.store.run("openAction", {
      ...{ id: "c1", actor: "a", source: "CM1", passedOver: [], windows: [] },
      plan: { kind: "notify", notification: "wakeUpClient", type: 150 },
      resourceIds: [0, 1, 2].map((number) => FIRST + number),
      at: it.clock.now(),
      expiresAt: it.clock.now() + HOUR_MS,
    });
  };
  const notify = (notification: string) => ({ target: devices(0, 1, 2), notification });

  test("goes on for the devices that may still be touched", async () => {
    await using it = await startActingBridge({ actions: NEVER });
    forbid(it, 1);
    await open(it);
    await it.runJudged("site.notify", notify("wakeUpClient"));
    expect((await stateOf(it, 1))?.state).toBe("failed");
    await it.look();
    expect(it.site.executions().map(({ resourceId }) => resourceId)).toEqual([FIRST, FIRST + 2]);
  });

  test("is refused where it is another one than it was: more devices than a restart may have", async () => {
    await using it = await startActingBridge({
      actions: { restart: { maxDevicesPerAction: 3 } },
    });
    await open(it);
    await expect(it.runJudged("site.notify", notify("restart"))).rejects.toMatchObject({
      code: "command-changed",
    });
    expect(posts(it)).toEqual([]);
  });
});
