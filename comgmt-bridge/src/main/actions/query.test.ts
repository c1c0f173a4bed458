import { describe, expect, test } from "vitest";
import {
  type ActingBridge,
  collection,
  devices,
  FIRST,
  HOUR_MS,
  MINUTE_MS,
  startActingBridge,
} from "../../testing/acting-bridge.ts";

const posts = (it: ActingBridge) => it.site.requests().filter(({ method }) => method === "POST");
const rowsOf = async (it: ActingBridge) =>
  (await it.told()).flatMap((entry) => (entry.type === "rows" ? [entry] : []));

describe("a query", () => {
  test("is sent in its canonical text, and its rows come with the device", async () => {
    await using it = await startActingBridge();
    const query = "os|where Caption like '%Windows%'|project Caption // all";
    await it.run("site.query", { target: devices(0), query });
    await it.look();
    expect(it.site.executions()[0]?.what).toBe(
      "OS | where Caption like '%Windows%' | project Caption",
    );
    const [entry] = await rowsOf(it);
    expect(entry).toMatchObject({ key: String(FIRST), isTruncated: false });
    expect(entry?.rows[0]).toMatchObject({ Caption: expect.stringMatching(/Windows/) });
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
  });

  test("goes to each member of a collection once, and each device's rows come as it answers", async () => {
    await using it = await startActingBridge({
      site: { behaviour: { answerMinMs: 1_000, answerMaxMs: 8 * MINUTE_MS } },
    });
    const target = collection("SMS00001");
    expect(
      await it.run("site.query", { target, query: "OS | summarize count() by Caption" }),
    ).toEqual({ source: "CM1", devices: 40 });
    expect(posts(it)).toHaveLength(1);
    await it.look(1_000);
    expect(posts(it)).toHaveLength(40);
    await it.look(4 * MINUTE_MS);
    const early = (await rowsOf(it)).length;
    expect(early).toBeGreaterThan(0);
    expect(early).toBeLessThan(40);
    await it.look(10 * MINUTE_MS);
    const all = await rowsOf(it);
    expect(all).toHaveLength(40);
    expect(all[0]?.rows).toEqual([expect.objectContaining({ count_: 1 })]);
    expect(it.site.repeated()).toEqual(new Map());
  });

  test("takes no other device's answer under its number, which a restored site has given again", async () => {
    await using it = await startActingBridge();
    const backup = it.site.backup();
    await it.run("site.query", { target: devices(0), query: "OS" });
    it.site.restore(backup);
    const task = { kind: "cmpivot", type: 145, query: "OS" } as const;
    it.site.state.operations.start({
      ...{ task, collectionId: "", createdBy: "CORP\\isthmus", targets: [FIRST + 1] },
    });
    await it.look(5 * MINUTE_MS);
    expect(await rowsOf(it)).toEqual([]);
    expect((await it.states()).get(FIRST)?.state).not.toBe("succeeded");
  });

  test("is asked again of a device that was away, once it is back, and never while it may still run", async () => {
    await using it = await startActingBridge({ site: { onlineShare: 0 } });
    const expiresAt = it.clock.now() + 9 * HOUR_MS;
    await it.run("site.query", { target: devices(0), query: "OS" }, "c1", { expiresAt });
    await it.look(30 * MINUTE_MS);
    expect(posts(it)).toHaveLength(1);
    await it.look(HOUR_MS);
    await it.look(HOUR_MS);
    expect((await it.states()).get(FIRST)?.state).toBe("queued");
    expect(posts(it)).toHaveLength(1);
    it.site.change({ kind: "online", resourceId: FIRST, isOnline: true });
    await it.look();
    expect(posts(it)).toHaveLength(2);
    await it.look();
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
    expect(await rowsOf(it)).toHaveLength(1);
    expect(it.site.repeated()).toEqual(new Map());
  });

  test("of a device that stays away is expired with the command", async () => {
    await using it = await startActingBridge({ site: { onlineShare: 0 } });
    await it.run("site.query", { target: devices(0), query: "OS" });
    for (let round = 0; round < 3; round += 1) await it.look(HOUR_MS);
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "expired",
      reason: expect.stringMatching(/before the command's time was over/),
    });
    expect(posts(it)).toHaveLength(1);
  });

  test("whose answer the client cut says so", async () => {
    await using it = await startActingBridge();
    await it.run("site.query", { target: devices(0), query: "EventLog('System')" });
    await it.look();
    const entries = await rowsOf(it);
    expect(entries.length).toBeGreaterThan(1);
    expect(entries.every(({ isTruncated, rows }) => isTruncated && rows.length <= 500)).toBe(true);
    expect((await it.states()).get(FIRST)).toMatchObject({ isTruncated: true });
  });

  test("that fails on a device says so", async () => {
    await using it = await startActingBridge({
      site: { behaviour: { answerMinMs: 1, answerMaxMs: 2, failingShare: 1 } },
    });
    await it.run("site.query", { target: devices(0), query: "OS" });
    await it.look();
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "failed",
      reason: "Script failed",
    });
  });

  test("of a device that the site does not show fails for it alone", async () => {
    await using it = await startActingBridge({
      actions: { targets: { CM1: { collections: ["SMS00001"], devices: [99] } } },
    });
    const target = { kind: "devices", resourceIds: [99, FIRST] } as const;
    expect(await it.run("site.query", { target, query: "OS" })).toMatchObject({ devices: 2 });
    await it.look(1_000);
    await it.look();
    expect((await it.states()).get(99)?.state).toBe("failed");
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
  });

  test("waits where the site cannot be reached, and fails for nobody", async () => {
    await using it = await startActingBridge();
    await it.run("site.query", { target: devices(0, 1, 2), query: "OS" });
    it.site.fault({ method: "POST", fault: { kind: "status", status: 503 }, times: 3 });
    for (let round = 0; round < 6; round += 1) await it.look();
    const states = [...(await it.states()).values()].map(({ state }) => state);
    expect(states).toEqual(["succeeded", "succeeded", "succeeded"]);
    expect(it.site.repeated()).toEqual(new Map());
  });
});

describe("a query that is not allowed", () => {
  test.each([
    ["an entity that is not listed", "Registry('hklm:\\\\sam')", "query-entity-refused"],
    ["one in a joined query", "OS | join (Administrators)", "query-entity-refused"],
    ["no query at all", "OS | wher x", "query-operator-unknown"],
  ])("%s reaches no device", async (_, query, code) => {
    await using it = await startActingBridge({ queries: { entities: ["OS"] } });
    await expect(it.run("site.query", { target: devices(0), query })).rejects.toMatchObject({
      code,
    });
    expect(posts(it)).toEqual([]);
  });

  test("any, where the guardrails do not let queries out", async () => {
    await using it = await startActingBridge({ actions: { allowQueries: false } });
    const run = it.run("site.query", { target: devices(0), query: "OS" });
    await expect(run).rejects.toMatchObject({
      rule: "guardrails.comgmt-bridge.actions.allowQueries",
    });
  });
});
