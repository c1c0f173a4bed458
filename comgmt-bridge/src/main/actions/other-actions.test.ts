import { describe, expect, test } from "vitest";
import {
  type ActingBridge,
  devices,
  FIRST,
  HOUR_MS,
  MINUTE_MS,
  SCRIPT,
  SCRIPT_SHA256,
  startActingBridge,
} from "../../testing/acting-bridge.ts";
import { TOKEN } from "../../testing/strict-admin-service.ts";

const posts = (it: ActingBridge) => it.site.requests().filter(({ method }) => method === "POST");
const codeOf = async (run: Promise<unknown>) =>
  await run.then(
    () => "nothing",
    (error: { readonly code?: string }) => error.code,
  );

/** An application of the simulated site that the first device has, and one that it can get. */
async function applicationsOf(it: ActingBridge) {
  const device = it.site.state.fleet.device(FIRST);
  if (device === undefined) throw new Error("no device");
  const all = it.site.state.software.availableApplications(device, false) as readonly {
    readonly ApplicationId: string;
    readonly Status: string;
  }[];
  const by = (status: string) => all.find(({ Status }) => Status === status)?.ApplicationId ?? "";
  return { installed: by("Installed"), available: by("Available") };
}

async function bridgeWithApplications(site: object = {}, commands: object = {}) {
  const probe = await startActingBridge({ site });
  const ids = await applicationsOf(probe);
  await probe[Symbol.asyncDispose]();
  const actions = ["install", "uninstall", "repair", "reevaluate"];
  const it = await startActingBridge({
    ...{ site, commands },
    actions: {
      applications: [
        { applicationId: ids.available, actions },
        { applicationId: ids.installed, actions },
      ],
    },
  });
  return { it, ...ids };
}

describe("an application", () => {
  test("is installed, uninstalled and repaired, by the device's own state", async () => {
    const { it, available, installed } = await bridgeWithApplications();
    await using _ = it;
    const target = devices(0);
    const act = (action: string, applicationId: string) =>
      it.run("site.application", { target, applicationId, action }, `${action}-1`);
    expect(await act("install", available)).toEqual({ source: "CM1", devices: 1 });
    await it.look(500);
    expect((await it.states()).get(FIRST)?.state).toBe("running");
    await it.look();
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
    await act("uninstall", available);
    await it.look();
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
    await act("repair", `ScopeId_1/Application_${installed}/1`);
    await it.look(500);
    await it.look();
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
    expect(it.site.executions().map(({ what }) => what.split(" ")[0])).toEqual([
      ...["Install", "Uninstall", "Repair"],
    ]);
  });

  test("that came to its end on a device has the device's inventory read again, once", async () => {
    const read: (readonly [string, readonly number[]])[] = [];
    const readAgain = async (source: string, resourceIds: readonly number[]) => {
      read.push([source, resourceIds]);
    };
    const { it, available } = await bridgeWithApplications({}, { readAgain });
    await using _ = it;
    const payload = { target: devices(0), applicationId: available, action: "install" };
    await it.run("site.application", payload);
    await it.look(500);
    expect(read).toEqual([]);
    for (let looks = 0; looks < 3; looks += 1) await it.look();
    expect(read).toEqual([["CM1", [FIRST]]]);
  });

  test("that fails tells the code in words and what to do", async () => {
    const behaviour = { answerMinMs: 1_000, answerMaxMs: 2_000, failingShare: 1 };
    const { it, available } = await bridgeWithApplications({ behaviour });
    await using _ = it;
    const payload = { target: devices(0), applicationId: available, action: "install" };
    await it.run("site.application", payload);
    await it.look(500);
    await it.look();
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "failed",
      errorCode: -2016410844,
      reason: expect.stringMatching(/^0x87D00324: .*not detected.*detection method/),
    });
  });

  test("is not asked for where it is not deployed", async () => {
    const { it, available } = await bridgeWithApplications();
    await using _ = it;
    const target = devices(...Array.from({ length: 40 }, (__, number) => number));
    await it.run("site.application", { target, applicationId: available, action: "install" });
    const states = [...(await it.states()).values()].map(({ state }) => state);
    expect(states.filter((state) => state === "notApplicable").length).toBeGreaterThan(3);
    expect(states.filter((state) => state === "sent").length).toBeGreaterThan(3);
  });

  test("whose answer is lost is asked for once; the device says what became of it", async () => {
    const { it, available } = await bridgeWithApplications();
    await using _ = it;
    const payload = { target: devices(0), applicationId: available, action: "install" };
    it.site.fault({ method: "POST", fault: { kind: "cut", when: "after" } });
    expect(await it.run("site.application", payload)).toEqual({ source: "CM1", devices: 1 });
    await it.look(500);
    await it.look();
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
    const never = { ...payload, target: devices(0) };
    it.site.fault({ method: "POST", fault: { kind: "cut", when: "before" } });
    await it.run("site.application", { ...never, action: "uninstall" }, "c2");
    for (let round = 0; round < 3; round += 1) await it.look(HOUR_MS);
    expect((await it.states()).get(FIRST)?.state).toBe("unknown");
    expect(posts(it)).toHaveLength(2);
  });

  test("is evaluated again by a notification", async () => {
    const { it, available } = await bridgeWithApplications();
    await using _ = it;
    const payload = { target: devices(0), applicationId: available, action: "reevaluate" };
    await it.run("site.application", payload);
    await it.look();
    expect(it.site.executions().map(({ kind, what }) => [kind, what])).toEqual([
      ["notification", "13"],
    ]);
  });

  test("that is not listed, or not for this action, is refused", async () => {
    await using it = await startActingBridge();
    const applicationId = SCRIPT.guid;
    const payload = { target: devices(0), applicationId, action: "install" };
    expect(await codeOf(it.run("site.application", payload))).toBe("application-refused");
  });
});

describe("recovery keys", () => {
  test("come in the answer and stand nowhere else", async () => {
    await using it = await startActingBridge();
    const { keys } = (await it.run("site.recovery-key", { resourceId: FIRST })) as {
      readonly keys: readonly { readonly id: string; readonly recoveryKey: string }[];
    };
    expect(keys[0]).toMatchObject({ recoveryKey: expect.stringMatching(/^(\d{6}-){7}\d{6}$/) });
    const audit = await it.audit();
    expect(audit).toMatch(/recovery-keys\.intended .*recovery-keys\.shown /s);
    for (const { recoveryKey } of keys) expect(audit).not.toContain(recoveryKey);
    expect(await it.told()).toEqual([]);
  });

  test("are bounded by a window of their own, and off unless allowed", async () => {
    const limits = { "site-recovery-keys": { max: 1, perMinutes: 60 } };
    await using it = await startActingBridge({ limits });
    await it.run("site.recovery-key", { resourceId: FIRST }, "c1");
    expect(await codeOf(it.run("site.recovery-key", { resourceId: FIRST + 1 }, "c2"))).toBe(
      "limit-exceeded",
    );
    await using closed = await startActingBridge({ actions: { allowRecoveryKeys: false } });
    expect(await codeOf(closed.run("site.recovery-key", { resourceId: FIRST }))).toBe(
      "recovery-keys-refused",
    );
    await using elsewhere = await startActingBridge({ actions: { targets: {} } });
    expect(await codeOf(elsewhere.run("site.recovery-key", { resourceId: FIRST }))).toBe(
      "target-refused",
    );
    expect(posts(elsewhere)).toEqual([]);
  });

  test("need the right to read them at the site", async () => {
    await using it = await startActingBridge({
      site: { tokens: { [TOKEN]: { name: "CORP\\isthmus", rights: ["read"] } } },
    });
    const run = it.run("site.recovery-key", { resourceId: FIRST });
    expect(await codeOf(run)).toBe("site-mfa-demanded");
  });
});

describe("custom properties", () => {
  const propertiesOf = (it: ActingBridge) => it.site.state.fleet.overlayOf(FIRST).extensionData;

  test("are set, and one is taken away while the others stay", async () => {
    await using it = await startActingBridge();
    const set = { AssetTag: "0580255", Location: "Dublin" };
    await it.run("site.custom-properties", { resourceId: FIRST, set }, "c1");
    expect(propertiesOf(it)).toEqual(set);
    await it.run("site.custom-properties", { resourceId: FIRST, remove: ["Location"] }, "c2");
    expect(propertiesOf(it)).toEqual({ AssetTag: "0580255" });
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
    const before = posts(it).length;
    await it.run("site.custom-properties", { resourceId: FIRST, remove: ["Location"] }, "c3");
    expect(posts(it)).toHaveLength(before);
  });

  test("that were to stay survive lost answers between taking all away and setting them", async () => {
    await using it = await startActingBridge();
    const set = { AssetTag: "0580255", Location: "Dublin" };
    await it.run("site.custom-properties", { resourceId: FIRST, set }, "c1");
    const payload = { resourceId: FIRST, remove: ["Location"] };
    const fault = { kind: "cut", when: "before" } as const;
    it.site.fault({ method: "POST", path: "SetExtensionData", fault, times: 2 });
    await it.run("site.custom-properties", payload, "c2");
    expect(propertiesOf(it)).toEqual({});
    it.restart();
    expect(await it.reconcile("site.custom-properties", payload, "c2")).toBe("not-run");
    await it.run("site.custom-properties", payload, "c2");
    expect(propertiesOf(it)).toEqual({});
    await it.look();
    expect(propertiesOf(it)).toEqual({ AssetTag: "0580255" });
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
    expect(await it.reconcile("site.custom-properties", payload, "c2")).toBe("succeeded");
  });

  test("are refused by name", async () => {
    await using it = await startActingBridge();
    const payload = { resourceId: FIRST, set: { Owner: "x" } };
    expect(await codeOf(it.run("site.custom-properties", payload))).toBe("custom-property-refused");
  });
});

describe("a cancellation", () => {
  test("ends the operation at the site and the wait for its devices", async () => {
    await using it = await startActingBridge({ site: { onlineShare: 0 } });
    await it.run("site.notify", { target: devices(0, 1), notification: "wakeUpClient" }, "c1");
    expect(await it.run("site.cancel", { commandId: "c1" }, "c2")).toEqual({
      source: "CM1",
      devices: 2,
    });
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "cancelled",
      reason: expect.stringMatching(/the site gave the operation up/),
    });
    it.site.change({ kind: "online", resourceId: FIRST, isOnline: true });
    it.clock.advance(MINUTE_MS);
    expect(it.site.executions()).toEqual([]);
    expect(await it.run("site.cancel", { commandId: "c1" }, "c3")).toMatchObject({ devices: 0 });
  });

  test("of a query sends nothing more, and of a script says what it cannot do", async () => {
    await using it = await startActingBridge();
    await it.run("site.query", { target: devices(0, 1), query: "OS" }, "c1");
    await it.run("site.cancel", { commandId: "c1" }, "c2");
    expect((await it.states()).get(FIRST + 1)).toMatchObject({
      state: "cancelled",
      reason: "it was not sent to the device",
    });
    await it.look();
    expect(posts(it)).toHaveLength(2);
    const script = { scriptGuid: SCRIPT.guid, version: "1", sha256: SCRIPT_SHA256 };
    const parameters = [{ name: "Name", value: "Ada" }];
    await it.run("site.script", { target: devices(3), ...script, parameters }, "c3");
    it.site.fault({
      method: "POST",
      path: "CancelClientOperation",
      fault: { kind: "status", status: 404 },
    });
    await it.run("site.cancel", { commandId: "c3" }, "c4");
    expect((await it.states()).get(FIRST + 3)).toMatchObject({
      state: "cancelled",
      reason: expect.stringMatching(/could not end the operation at the site/),
    });
  });

  test("of a command that is being sent ends what it began", async () => {
    await using it = await startActingBridge({ site: { onlineShare: 0 } });
    const stop = new AbortController();
    const call = it.client.call.bind(it.client);
    it.client.call = async (...all: Parameters<typeof call>) => {
      const answer = await call(...all);
      stop.abort(new Error("cancelled"));
      return answer;
    };
    const payload = { target: devices(0), notification: "wakeUpClient" };
    const answer = await it.run("site.notify", payload, "c1", { signal: stop.signal });
    expect(answer).toMatchObject({ devices: 1 });
    expect((await it.states()).get(FIRST)?.state).toBe("cancelled");
    expect(posts(it).map(({ path }) => path.split(".").at(-1))).toEqual([
      ...["InitiateClientOperation", "CancelClientOperation"],
    ]);
    const before = new AbortController();
    before.abort(new Error("cancelled"));
    const run = it.run("site.notify", payload, "c2", { signal: before.signal });
    await expect(run).rejects.toThrow("cancelled");
    expect(posts(it)).toHaveLength(2);
  });

  test("of what nobody began is refused", async () => {
    await using it = await startActingBridge();
    expect(await codeOf(it.run("site.cancel", { commandId: "c1" }, "c2"))).toBe("action-unknown");
  });
});
