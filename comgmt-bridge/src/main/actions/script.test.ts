import { describe, expect, test } from "vitest";
import {
  ALLOWING,
  collection,
  devices,
  FIRST,
  HOUR_MS,
  SCRIPT,
  SCRIPT_SHA256,
  startActingBridge,
} from "../../testing/acting-bridge.ts";

const RUN = {
  ...{ target: devices(0, 1), scriptGuid: SCRIPT.guid, version: "1" },
  ...{ sha256: SCRIPT_SHA256, parameters: [{ name: "Name", value: "Ada" }] },
};

describe("a script", () => {
  test("runs with its parameters on the very devices, and its output comes back", async () => {
    await using it = await startActingBridge();
    expect(await it.run("site.script", RUN)).toMatchObject({ operationId: expect.any(Number) });
    await it.look();
    const told = (await it.states()).get(FIRST);
    expect(told).toMatchObject({ state: "succeeded", exitCode: 0, isTruncated: false });
    expect(JSON.parse(told?.output ?? "")).toMatchObject({ Parameters: { Name: "Ada" } });
    expect(it.site.executions().map(({ parameters }) => parameters)).toEqual([
      { Name: "Ada" },
      { Name: "Ada" },
    ]);
  });

  test("runs on a collection, and tells what failed with its exit code", async () => {
    await using it = await startActingBridge({
      site: { behaviour: { answerMinMs: 1_000, answerMaxMs: 2_000, failingShare: 0.5 } },
    });
    await it.run("site.script", { ...RUN, target: collection("SMS00001") });
    await it.look();
    const states = [...(await it.states()).values()];
    expect(states).toHaveLength(40);
    const failed = states.filter(({ state }) => state === "failed");
    expect(failed.length).toBeGreaterThan(5);
    expect(failed[0]).toMatchObject({ exitCode: 1, reason: "the script ended with 1" });
  });

  test("whose output a site gives as a whole JSON text reads the same", async () => {
    await using it = await startActingBridge({ site: { scriptOutput: "quoted" } });
    await it.run("site.script", RUN);
    await it.look();
    const { output } = (await it.states()).get(FIRST) ?? {};
    expect(JSON.parse(output ?? "")).toMatchObject({ Parameters: { Name: "Ada" } });
  });

  test("that a device did not take in the site's hour is expired, and never sent again", async () => {
    await using it = await startActingBridge({ site: { onlineShare: 0 } });
    await it.run("site.script", RUN, "c1", { expiresAt: it.clock.now() + 9 * HOUR_MS });
    await it.look(2 * HOUR_MS);
    expect((await it.states()).get(FIRST)?.state).toBe("expired");
    it.site.change({ kind: "online", resourceId: FIRST, isOnline: true });
    await it.look(2 * HOUR_MS);
    expect(it.site.requests().filter(({ method }) => method === "POST")).toHaveLength(1);
  });

  test("values that look like XML arrive as they were", async () => {
    await using it = await startActingBridge();
    const value = 'a" <b>&amp; c"';
    await it.run("site.script", {
      ...{ ...RUN, target: devices(0) },
      parameters: [{ name: "Name", value: 'x" & <b>' }],
    });
    await it.look();
    expect(it.site.executions().map(({ parameters }) => parameters)).toEqual([
      { Name: 'x" & <b>' },
    ]);
    const injected = it.run("site.script", { ...RUN, parameters: [{ name: "Name", value }] }, "c2");
    await expect(injected).rejects.toMatchObject({ code: "script-parameter-refused" });
  });

  test("no parameter value stands in audit or store", async () => {
    await using it = await startActingBridge();
    await it.run("site.script", { ...RUN, parameters: [{ name: "Name", value: "Persephone" }] });
    expect(await it.audit()).not.toContain("Persephone");
    const tables = ["site_action", "site_action_request", "site_action_device"];
    for (const table of tables) {
      const rows = await it.kernel.store.query(`SELECT * FROM ${table}`, [], 1_000);
      expect(JSON.stringify(rows)).not.toContain("Persephone");
    }
    expect(await it.audit()).toMatch(/action\.intended .*"digest":"[0-9a-f]{64}"/);
  });
});

describe("a script is refused", () => {
  const [listed] = ALLOWING.scripts;
  const posts = (it: { site: { requests(): readonly { method: string }[] } }) =>
    it.site.requests().filter(({ method }) => method === "POST");

  test.each([
    ["that is not listed", { scriptGuid: SCRIPT.guid.replace("1", "2") }, "script-refused"],
    ["of another version", { version: "2" }, "script-refused"],
    ["of another text", { sha256: "0".repeat(64) }, "script-refused"],
    [
      "with a parameter that is not listed",
      { parameters: [{ name: "Path", value: "x" }] },
      "script-parameter-refused",
    ],
    [
      "with a value that its pattern does not allow",
      { parameters: [{ name: "Name", value: "1" }] },
      "script-parameter-refused",
    ],
    [
      "with a second line behind what the pattern allows",
      { parameters: [{ name: "Name", value: "Ada\nBob" }] },
      "script-parameter-refused",
    ],
    ["without a required parameter", { parameters: [] }, "script-parameter-invalid"],
    [
      "with a parameter twice",
      {
        parameters: [
          { name: "Name", value: "A" },
          { name: "Name", value: "B" },
        ],
      },
      "script-parameter-invalid",
    ],
  ])("%s", async (_, change, code) => {
    await using it = await startActingBridge();
    await expect(it.run("site.script", { ...RUN, ...change })).rejects.toMatchObject({
      code,
      rule: expect.stringMatching(/^guardrails\.comgmt-bridge\.actions\.scripts/),
    });
    expect(posts(it)).toEqual([]);
  });

  test("whose pattern takes longer than anybody waits", async () => {
    await using it = await startActingBridge({
      actions: { scripts: [{ ...listed, parameters: { Name: "(a+)+b" } }] },
    });
    const value = "a".repeat(200);
    const run = it.run("site.script", { ...RUN, parameters: [{ name: "Name", value }] });
    await expect(run).rejects.toMatchObject({ code: "script-parameter-refused" });
  });

  test("that has single quotes, with which a value would leave its place", async () => {
    await using it = await startActingBridge({
      actions: { scripts: [{ ...listed, parameters: { Name: ".*" } }] },
    });
    for (const value of ["'; Remove-Item C:\\ #", "\u2019; x", "a\u0007"]) {
      const run = it.run("site.script", { ...RUN, parameters: [{ name: "Name", value }] });
      await expect(run).rejects.toMatchObject({ code: "script-parameter-invalid" });
    }
    expect(posts(it)).toEqual([]);
  });

  test.each([
    ["that waits for approval", { isApproved: false }, "script-not-approved"],
    ["that was exchanged under its GUID and version", { text: "format c:" }, "script-changed"],
    ["that its author approved", { author: "corp\\APPROVER" }, "script-self-approved"],
  ])("%s", async (_, change, code) => {
    await using it = await startActingBridge({ site: { scripts: [{ ...SCRIPT, ...change }] } });
    await expect(it.run("site.script", RUN)).rejects.toMatchObject({ code });
    expect(posts(it)).toEqual([]);
  });

  test("that its author approved may run where the guardrails say so", async () => {
    await using it = await startActingBridge({
      site: { scripts: [{ ...SCRIPT, author: "CORP\\approver" }] },
      actions: { scripts: [{ ...listed, allowSelfApproval: true }] },
    });
    expect(await it.run("site.script", RUN)).toMatchObject({ devices: 2 });
  });

  test("that was exchanged between the reading and the run: the site itself refuses it", async () => {
    await using it = await startActingBridge();
    const { scripts } = it.site.state;
    const find = scripts.find.bind(scripts);
    let reads = 0;
    scripts.find = (guid) => {
      const found = find(guid);
      reads += 1;
      // The first to find it is who reads it, the second who runs it.
      return reads === 1 || found === undefined ? found : { ...found, hash: "F".repeat(64) };
    };
    await expect(it.run("site.script", RUN)).rejects.toMatchObject({ code: "site-failed" });
    expect(it.site.executions()).toEqual([]);
    expect((await it.states()).get(FIRST)?.state).toBe("failed");
  });
});
