import { expect, test } from "vitest";
import {
  type ActingBridge,
  devices,
  MINUTE_MS,
  SCRIPT,
  startActingBridge,
  storedSha256,
} from "../../testing/acting-bridge.ts";

const TARGET = { target: devices(0, 1) };
const COMMANDS = [
  ["site.notify", { ...TARGET, notification: "refreshMachinePolicy" }],
  [
    "site.script",
    {
      ...{ ...TARGET, scriptGuid: SCRIPT.guid, version: "1" },
      ...{ sha256: storedSha256(SCRIPT.text), parameters: [{ name: "Name", value: "Ada" }] },
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

test.each(COMMANDS)(
  "%s is carried out once on each device at most, wherever in its course the bridge dies",
  async (kind, payload) => {
    let deaths = 0;
    for (let step = 1; step <= MAX_STEPS; step += 1) {
      for (const isDone of [false, true]) {
        await using it = await startActingBridge();
        const hasDied = await dieAt(it, { step, isDone }, () => it.run(kind, payload));
        if (!hasDied) {
          expect(deaths).toBeGreaterThan(5);
          return;
        }
        deaths += 1;
        // As the kernel does with a command that had begun.
        const found = await it.reconcile(kind, payload);
        if (found === "not-run") await it.run(kind, payload);
        for (const ms of [MINUTE_MS, 4 * MINUTE_MS, MINUTE_MS, MINUTE_MS]) await it.look(ms);
        expect([step, isDone, [...it.site.repeated()]]).toEqual([step, isDone, []]);
        const states = [...(await it.states()).values()].map(({ state }) => state);
        const isOver = states.every((state) => state === "succeeded" || state === "unknown");
        expect([step, isDone, isOver ? [] : states]).toEqual([step, isDone, []]);
        // What may be sent again is: only a script may end without anybody knowing.
        if (kind !== "site.script") expect(new Set(states)).toEqual(new Set(["succeeded"]));
        expect(states).toHaveLength(2);
      }
    }
    throw new Error(`the command takes more than ${MAX_STEPS} steps`);
  },
  120_000,
);

test.each(COMMANDS)(
  "%s is carried out once on each device at most, wherever the watcher dies",
  async (kind, payload) => {
    for (let step = 1; step <= 8; step += 1) {
      for (const isDone of [false, true]) {
        await using it = await startActingBridge();
        await it.run(kind, payload);
        await dieAt(it, { step, isDone }, () => it.look());
        for (const ms of [MINUTE_MS, 4 * MINUTE_MS, MINUTE_MS]) await it.look(ms);
        expect([...it.site.repeated()]).toEqual([]);
        const states = [...(await it.states()).values()].map(({ state }) => state);
        expect([step, isDone, states]).toEqual([step, isDone, ["succeeded", "succeeded"]]);
        const rows = (await it.told()).filter(({ type }) => type === "rows");
        expect(rows).toHaveLength(kind === "site.query" ? 2 : 0);
      }
    }
  },
  120_000,
);
