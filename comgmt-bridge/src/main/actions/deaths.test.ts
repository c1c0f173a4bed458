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

const TARGET = { target: devices(0, 1) };
const COMMANDS = [
  ["site.notify", { ...TARGET, notification: "refreshMachinePolicy" }],
  [
    "site.script",
    {
      ...{ ...TARGET, scriptGuid: SCRIPT.guid, version: "1" },
      ...{ sha256: SCRIPT_SHA256, parameters: [{ name: "Name", value: "Ada" }] },
    },
  ],
  ["site.query", { ...TARGET, query: "OS" }],
] as const;
const installs = (it: ActingBridge) => posted(it, /InstallApplication/);
const posted = (it: ActingBridge, path: RegExp) =>
  it.site.requests().filter((request) => request.method === "POST" && path.test(request.path));
/** More steps of the store than a command takes. */
const MAX_STEPS = 20;

/** From the n-th step of the store on the process is dead: the step itself is done or not. Returns whether it died. */
async function dieAt(
  it: ActingBridge,
  at: { readonly step: number; readonly isDone: boolean },
  act: () => Promise<unknown>,
): Promise<boolean> {
  const store = it.kernel.store as { run: unknown };
  const run = it.kernel.store.run.bind(it.kernel.store) as (...all: unknown[]) => Promise<unknown>;
  let step = 0;
  store.run = async (...all: unknown[]) => {
    step += 1;
    if (step < at.step) return await run(...all);
    if (step === at.step && at.isDone) await run(...all);
    throw new Error("killed");
  };
  await act().catch(() => {});
  store.run = run;
  it.restart();
  return step >= at.step;
}

/** Before and after each step. */
const moments = (steps: number) =>
  Array.from({ length: steps * 2 }, (_, at) => ({ step: 1 + (at >> 1), isDone: at % 2 === 1 }));

/** The next process takes over: the kernel its command, the watcher the rest. */
async function recover(it: ActingBridge, kind: string, payload: object): Promise<void> {
  const found = await it.reconcile(kind, payload);
  if (found === "not-run") await it.run(kind, payload);
  for (const ms of [MINUTE_MS, 4 * MINUTE_MS, MINUTE_MS, MINUTE_MS]) await it.look(ms);
}

const statesOf = async (it: ActingBridge) =>
  [...(await it.states()).values()].map(({ state }) => state);

test.each(COMMANDS)(
  "%s is carried out once on each device at most, wherever in its course the bridge dies",
  async (kind, payload) => {
    let deaths = 0;
    for (const at of moments(MAX_STEPS)) {
      await using it = await startActingBridge();
      if (!(await dieAt(it, at, () => it.run(kind, payload)))) break;
      deaths += 1;
      await recover(it, kind, payload);
      expect([at, ...it.site.repeated()]).toEqual([at]);
      // What may be sent again is: only a script may end without anybody knowing.
      const ends = kind === "site.script" ? ["succeeded", "unknown"] : ["succeeded"];
      const states = await statesOf(it);
      expect(states).toHaveLength(2);
      expect([at, ...states.filter((state) => !ends.includes(state))]).toEqual([at]);
    }
    expect(deaths).toBeGreaterThan(5);
    expect(deaths).toBeLessThan(2 * MAX_STEPS);
  },
  120_000,
);

test.each(COMMANDS)(
  "%s is carried out once on each device at most, wherever the watcher dies",
  async (kind, payload) => {
    for (const at of moments(8)) {
      await using it = await startActingBridge();
      await it.run(kind, payload);
      await dieAt(it, at, () => it.look());
      for (const ms of [MINUTE_MS, 4 * MINUTE_MS, MINUTE_MS]) await it.look(ms);
      expect([at, ...it.site.repeated()]).toEqual([at]);
      expect([at, ...(await statesOf(it))]).toEqual([at, "succeeded", "succeeded"]);
      const rows = (await it.told()).filter(({ type }) => type === "rows");
      expect(rows).toHaveLength(kind === "site.query" ? 2 : 0);
    }
  },
  120_000,
);

/** Deployed to the first device, which does not have it yet. */
async function availableApplication(): Promise<string> {
  await using it = await startActingBridge();
  const device = it.site.state.fleet.device(FIRST);
  if (device === undefined) throw new Error("no device");
  const all = it.site.state.software.availableApplications(device, false) as readonly {
    readonly ApplicationId: string;
    readonly Status: string;
  }[];
  const found = all.find(({ Status }) => Status === "Available");
  if (found === undefined) throw new Error("no application can be installed");
  return found.ApplicationId;
}

describe("an installation", () => {
  const lab = async () => {
    const applicationId = await availableApplication();
    const applications = [{ applicationId, actions: ["install"] }];
    const payload = { target: devices(0), applicationId, action: "install" };
    return { payload, open: () => startActingBridge({ actions: { applications } }) };
  };
  /** Until long after the command's end. */
  const wait = async (it: ActingBridge) => {
    for (const ms of [500, 4 * MINUTE_MS, MINUTE_MS, HOUR_MS, HOUR_MS]) await it.look(ms);
  };

  test("is asked for once at most, wherever in its course the bridge dies, and its end is known or unknown", async () => {
    const { payload, open } = await lab();
    const ends = new Map<string, number>();
    for (const at of moments(MAX_STEPS)) {
      await using it = await open();
      if (!(await dieAt(it, at, () => it.run("site.application", payload)))) break;
      const found = await it.reconcile("site.application", payload);
      if (found === "not-run") await it.run("site.application", payload);
      await wait(it);
      const [told, ...others] = [...(await it.states()).values()];
      expect([at, others]).toEqual([at, []]);
      const end = `${installs(it).length} asked, ${it.site.executions().length} done: ${told?.state}`;
      ends.set(end, (ends.get(end) ?? 0) + 1);
      if (told?.state === "unknown") expect(told.reason).toMatch(/may still be carried out/);
    }
    // The one that was intended and never left is not sent again: nobody can look it up.
    expect([...ends.keys()].toSorted()).toEqual([
      "0 asked, 0 done: unknown",
      "1 asked, 1 done: succeeded",
    ]);
    expect(ends.get("0 asked, 0 done: unknown")).toBe(1);
    expect(ends.get("1 asked, 1 done: succeeded")).toBeGreaterThan(3);
  }, 120_000);

  test("is asked for once, wherever the watcher dies", async () => {
    const { payload, open } = await lab();
    for (const at of moments(8)) {
      await using it = await open();
      await it.run("site.application", payload);
      await it.look(500);
      await dieAt(it, at, () => it.look());
      await wait(it);
      expect([at, installs(it).length, it.site.executions().length]).toEqual([at, 1, 1]);
      expect([at, ...(await statesOf(it))]).toEqual([at, "succeeded"]);
    }
  }, 120_000);
});

describe("custom properties", () => {
  const KIND = "site.custom-properties";
  const PAYLOAD = { resourceId: FIRST, set: { Location: "Cork" }, remove: ["AssetTag"] };
  const propertiesOf = (it: ActingBridge) => it.site.state.fleet.overlayOf(FIRST).extensionData;
  /** `Owner` is somebody else's, whom this bridge may not set: it has to outlive that all are taken away. */
  const open = async () => {
    const it = await startActingBridge();
    const extensionData = { AssetTag: "0580255", Owner: "Ada" };
    it.site.state.fleet.change(FIRST, { extensionData });
    return it;
  };
  const expectReached = async (it: ActingBridge, at: object) => {
    expect([at, propertiesOf(it)]).toEqual([at, { Owner: "Ada", Location: "Cork" }]);
    expect([at, ...(await statesOf(it))]).toEqual([at, "succeeded"]);
  };

  test("are what they are to be in the end, with those that were to stay, wherever the bridge dies", async () => {
    let deaths = 0;
    const gaps = new Set<string>();
    for (const at of moments(MAX_STEPS)) {
      await using it = await open();
      if (!(await dieAt(it, at, () => it.run(KIND, PAYLOAD)))) break;
      deaths += 1;
      gaps.add(JSON.stringify(propertiesOf(it)));
      await recover(it, KIND, PAYLOAD);
      await expectReached(it, at);
      expect([at, posted(it, /Delete/).length, posted(it, /SetExt/).length]).toEqual([at, 1, 1]);
    }
    expect(deaths).toBeGreaterThan(8);
    // It died before, between and after the two requests.
    expect(gaps).toContain("{}");
    expect(gaps.size).toBe(3);
  }, 120_000);

  test("are reached by the next bridge, wherever the watcher that goes on with them dies", async () => {
    for (const at of moments(6)) {
      await using it = await open();
      const fault = { kind: "cut", when: "before" } as const;
      it.site.fault({ method: "POST", path: "SetExtensionData", fault, times: 1 });
      await it.run(KIND, PAYLOAD);
      expect(propertiesOf(it)).toEqual({});
      await dieAt(it, at, () => it.look());
      for (const ms of [MINUTE_MS, 4 * MINUTE_MS, MINUTE_MS]) await it.look(ms);
      await expectReached(it, at);
      expect([at, posted(it, /Delete/).length]).toEqual([at, 1]);
    }
  }, 120_000);
});
