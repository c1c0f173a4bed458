import { expect, test } from "vitest";
import {
  type ActingBridge,
  devices,
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
