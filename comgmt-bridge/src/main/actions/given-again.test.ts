import { describe, expect, test } from "vitest";
import type { Task } from "../../../../test/simulators/configmgr/operations.ts";
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

const NOTIFY = { target: devices(0, 1), notification: "refreshMachinePolicy" };
const SCRIPT_RUN = {
  ...{ target: devices(0, 1), scriptGuid: SCRIPT.guid, version: "1" },
  ...{ sha256: SCRIPT_SHA256, parameters: [{ name: "Name", value: "Ada" }] },
};
const COMMANDS = [
  ["site.notify", NOTIFY],
  ["site.script", SCRIPT_RUN],
] as const;

const POLICY = { kind: "notification", type: 8 } as const;
const hello = (it: ActingBridge, version = "1"): Task => {
  const script = it.site.state.scripts.find(SCRIPT.guid);
  if (script === undefined) throw new Error("the site has no script");
  return { kind: "script", type: 135, script: { ...script, version }, parameters: { Name: "Bob" } };
};

/** Devices answer after a while, so that the action is open when the site goes back. */
const slow = () =>
  startActingBridge({
    site: { behaviour: { answerMinMs: 5 * MINUTE_MS, answerMaxMs: 6 * MINUTE_MS } },
  });

/** Begins it, puts the site back to before, and has somebody else begin something under the number. */
async function giveAgain(
  it: ActingBridge,
  [kind, payload]: (typeof COMMANDS)[number],
  other: { readonly task: Task; readonly targets?: readonly number[] },
  { isLookedAt = true } = {},
): Promise<void> {
  const backup = it.site.backup();
  const { operationId } = (await it.run(kind, payload)) as { readonly operationId: number };
  if (isLookedAt) await it.look(1_000);
  it.site.restore(backup);
  it.clock.advance(MINUTE_MS);
  const { id } = it.site.state.operations.start({
    ...{ collectionId: "", createdBy: "CORP\\isthmus", targets: [FIRST, FIRST + 1] },
    ...other,
  });
  expect(id).toBe(operationId);
}

/** The connections of before are cut with it: the next look finds that out. */
async function restore(it: ActingBridge, backup: ReturnType<ActingBridge["site"]["backup"]>) {
  it.site.restore(backup);
  await it.look(MINUTE_MS);
}

async function expectUnknown(it: ActingBridge, reason: RegExp): Promise<void> {
  for (const ms of [10 * MINUTE_MS, MINUTE_MS, 2 * HOUR_MS]) await it.look(ms);
  const states = await it.states();
  for (const resourceId of [FIRST, FIRST + 1]) {
    expect(states.get(resourceId)).toMatchObject({
      state: "unknown",
      reason: expect.stringMatching(reason),
    });
    expect(states.get(resourceId)).not.toHaveProperty("output");
  }
  expect((await it.told()).every((entry) => !("counts" in entry))).toBe(true);
}

describe.each(COMMANDS)("%s at a site that gives its number again", (kind, payload) => {
  const command = [kind, payload] as (typeof COMMANDS)[number];
  const same = (it: ActingBridge) => (kind === "site.notify" ? POLICY : hello(it));

  test("takes nothing of the very same asked for later, and says why nobody knows", async () => {
    await using it = await slow();
    await giveAgain(it, command, { task: same(it) });
    await expectUnknown(it, /given number \d+ again.*at another time.*put back from a backup/);
  });

  test("takes nothing of another kind, also where the site went back before the first look", async () => {
    await using it = await slow();
    const task = kind === "site.notify" ? { ...POLICY, type: 9 } : POLICY;
    await giveAgain(it, command, { task }, { isLookedAt: false });
    await expectUnknown(it, /something of another kind/);
  });

  test("takes nothing of other devices, also where the site went back before the first look", async () => {
    await using it = await slow();
    const targets = [FIRST, FIRST + 1, FIRST + 2];
    await giveAgain(it, command, { task: same(it), targets }, { isLookedAt: false });
    await expectUnknown(it, /for other devices/);
  });

  test("takes nothing of a later command of this bridge", async () => {
    await using it = await slow();
    const backup = it.site.backup();
    const first = await it.run(kind, payload, "c1");
    await restore(it, backup);
    expect(await it.run(kind, payload, "c2")).toEqual(first);
    await it.look(10 * MINUTE_MS);
    await it.look();
    const ends = (await it.told()).flatMap((entry) =>
      entry.type === "progress"
        ? entry.devices.map(({ key, state }) => `${entry.commandId} ${key} ${state}`)
        : [],
    );
    expect(ends).toContain(`c1 ${FIRST} unknown`);
    expect(ends).not.toContain(`c1 ${FIRST} succeeded`);
    expect(ends).toContain(`c2 ${FIRST} succeeded`);
  });

  test("that is cancelled leaves the other operation alone", async () => {
    await using it = await slow();
    await giveAgain(it, command, { task: same(it) });
    await it.run("site.cancel", { commandId: "c1" }, "c2");
    expect((await it.states()).get(FIRST)).toMatchObject({
      state: "cancelled",
      reason: expect.stringMatching(/could not end the operation at the site/),
    });
    expect([...it.site.state.operations.all()].map(({ isCancelled }) => isCancelled)).toEqual([
      false,
    ]);
  });

  test("and is not put back keeps its own result", async () => {
    await using it = await slow();
    await it.run(kind, payload);
    await it.look(1_000);
    await it.look(10 * MINUTE_MS);
    await it.look();
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
  });
});

test("a script takes nothing of another version of it", async () => {
  await using it = await slow();
  await giveAgain(it, COMMANDS[1], { task: hello(it, "2") }, { isLookedAt: false });
  await expectUnknown(it, /another script, or another version/);
});

test("a query takes no rows of a later one on the same device", async () => {
  await using it = await slow();
  const backup = it.site.backup();
  await it.run("site.query", { target: devices(0), query: "OS" }, "c1");
  await restore(it, backup);
  await it.run("site.query", { target: devices(0), query: "Device" }, "c2");
  await it.look(10 * MINUTE_MS);
  const rows = (await it.told()).filter(({ type }) => type === "rows");
  expect(rows.map(({ commandId }) => commandId)).toEqual(["c2"]);
});

test.each(COMMANDS)(
  "%s whose answer is lost is found under the number of one that ended",
  async (kind, payload) => {
    await using it = await startActingBridge();
    const backup = it.site.backup();
    const first = await it.run(kind, payload, "c1");
    await it.look();
    await it.look();
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
    await restore(it, backup);
    it.site.fault({
      ...{ method: "POST", path: "Initiate|RunCMPivot" },
      fault: { kind: "cut", when: "after" },
    });
    expect(await it.run(kind, payload, "c2")).toEqual(first);
    for (const ms of [MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS]) await it.look(ms);
    expect(it.site.requests().filter(({ method }) => method === "POST")).toHaveLength(2);
    expect((await it.states()).get(FIRST)?.state).toBe("succeeded");
  },
);
