import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { startActingBridge } from "../testing/acting-bridge.ts";

const DAY_MS = 86_400_000;
const PLAN = { kind: "notify", notification: "wakeUpClient", type: 150 } as const;
const NEW = {
  ...{ actor: "ada", source: "CM1", plan: PLAN, passedOver: [], expiresAt: 9e12, windows: [] },
  resourceIds: [1, 2],
};

test("a result that is longer than the wire takes is cut and says so", async () => {
  await using it = await startActingBridge();
  const { store, clock } = it.kernel;
  const at = clock.now();
  await store.run("openAction", { ...NEW, id: "a", at });
  const output = "\u0001".repeat(131_073);
  const devices = [
    { resourceId: 1, state: "succeeded" as const, output, reason: "x".repeat(2_000) },
  ];
  await store.run("noteDevices", { id: "a", at, devices });
  const told = (await it.states()).get(1);
  expect(told).toMatchObject({ isTruncated: true, state: "succeeded" });
  expect(told?.reason).toHaveLength(1_024);
});

test("rows fill as many entries as it takes; one that fits in none is left out and said", async () => {
  await using it = await startActingBridge();
  const { store, clock } = it.kernel;
  const at = clock.now();
  await store.run("openAction", { ...NEW, id: "a", at });
  const rows = Array.from({ length: 1_001 }, (_, index) => ({ index }));
  await store.run("noteRows", { id: "a", at, resourceId: 1, rows, isTruncated: false });
  const large = [{ text: "x".repeat(140_000) }, { text: "y" }];
  await store.run("noteRows", { id: "a", at, resourceId: 2, rows: large, isTruncated: false });
  const entries = (await it.told()).flatMap((entry) => (entry.type === "rows" ? [entry] : []));
  expect(
    entries.map(({ key, rows: { length }, isTruncated }) => [key, length, isTruncated]),
  ).toEqual([
    ["1", 500, false],
    ["1", 500, false],
    ["1", 1, false],
    ["2", 1, true],
  ]);
  await store.run("noteRows", { id: "a", at, resourceId: 1, rows, isTruncated: false });
  expect((await it.told()).length).toBe(entries.length + 3);
});

test("what is final is told once and stays as it is", async () => {
  await using it = await startActingBridge();
  const { store, clock } = it.kernel;
  const at = clock.now();
  await store.run("openAction", { ...NEW, id: "a", at });
  const note = (state: "succeeded" | "failed" | "running") =>
    store.run("noteDevices", { id: "a", at, devices: [{ resourceId: 1, state }] });
  expect(await note("running")).toBe(1);
  expect(await note("running")).toBe(0);
  expect(await note("succeeded")).toBe(1);
  expect(await note("failed")).toBe(0);
  expect((await it.states()).get(1)?.state).toBe("succeeded");
});

test("a thousand actions may be under way, and one more is refused", async () => {
  await using it = await startActingBridge();
  const { store, clock } = it.kernel;
  const open = (id: number) =>
    store.run("openAction", { ...NEW, resourceIds: [1], id: String(id), at: clock.now() });
  await Promise.all(Array.from({ length: 1_000 }, (_, id) => open(id)));
  expect(await rejectedCode(() => open(1_000))).toBe("actions-too-many");
  const devices = [{ resourceId: 1, state: "succeeded" as const }];
  await store.run("noteDevices", { id: "7", at: clock.now(), devices });
  expect(await rejectedCode(() => open(1_000))).toBe("nothing");
});

test("an ended action is forgotten after thirty days, one under way never", async () => {
  await using it = await startActingBridge();
  const { store, clock } = it.kernel;
  const at = clock.now();
  for (const id of ["ended", "open"]) await store.run("openAction", { ...NEW, id, at });
  const devices = [1, 2].map((resourceId) => ({ resourceId, state: "failed" as const }));
  await store.run("noteDevices", { id: "ended", at, devices });
  expect(await store.run("pruneActions", { now: at + 30 * DAY_MS })).toBe(0);
  expect(await store.run("pruneActions", { now: at + 30 * DAY_MS + 1 })).toBe(1);
  expect(await store.run("findAction", { id: "ended" })).toBeUndefined();
  expect(await store.run("findAction", { id: "open" })).toMatchObject({ isEnded: false });
});
