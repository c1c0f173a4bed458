import { DEVICE_ACTION_STATES } from "@isthmus/shared/link/site-messages";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type DeviceActionState, isEnded } from "../core/device-action.ts";
import { recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { InventoryInMemory } from "../testing/inventory-memory.ts";
import { operations } from "./module.ts";
import { SILENCE_MS } from "./site-action-upkeep.ts";

const HOUR_MS = 3_600_000;
const KEYS = ["1", "2", "3"];

/** A site of three devices, with one query of two of them. */
function askedSite(): InventoryInMemory {
  const store = new InventoryInMemory();
  const devices = KEYS.map((key, at) => told(key, at + 1, { identity: { Name: key } }));
  store.tell([JSON.stringify(recordsOf(1, ...devices))]);
  operations.requestSiteAction(store.transaction, {
    ...{ id: "action", commandId: "command", kind: "site.query", action: "runQuery" },
    ...{ target: { source: "CM1", resourceIds: [1, 2] }, payload: { query: "Device" } },
    ...{ details: {}, requestHash: "", actor: "admin", now: START, expiresAt: START + HOUR_MS },
  });
  return store;
}

const scalar = fc.constantFrom<unknown>(
  null,
  true,
  -1,
  0,
  1.5,
  2 ** 53,
  "",
  "CM1",
  "x".repeat(2_000),
);
const nearly = <T>(good: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 30, arbitrary: good as fc.Arbitrary<unknown> },
    { weight: 1, arbitrary: scalar },
  );
const deep = fc.constantFrom(1, 15, 16, 17, 3_000).map((depth) => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
});
const about = {
  source: nearly(fc.constantFrom("CM1", "CM2")),
  commandId: nearly(fc.constantFrom("command", "command", "command", "other")),
  at: nearly(fc.constantFrom(START, 0, 8_640_000_000_000_001)),
};
const progress = fc.record({
  type: fc.constant("progress"),
  ...about,
  devices: nearly(
    fc.array(
      fc.record(
        {
          key: nearly(fc.constantFrom(...KEYS, "99", "\ud800", "k".repeat(257))),
          state: nearly(fc.constantFrom(...DEVICE_ACTION_STATES)),
          errorCode: nearly(fc.integer()),
          reason: nearly(fc.string({ unit: "binary" })),
          exitCode: nearly(fc.integer()),
          output: nearly(fc.string({ unit: "binary" })),
          isTruncated: nearly(fc.boolean()),
        },
        { requiredKeys: ["key", "state"] },
      ),
      { maxLength: 4 },
    ),
  ),
});
const rows = fc.record({
  type: fc.constant("rows"),
  ...about,
  key: nearly(fc.constantFrom(...KEYS, "99")),
  rows: nearly(
    fc.array(fc.dictionary(fc.string(), fc.oneof(fc.jsonValue(), deep), { maxKeys: 3 }), {
      maxLength: 3,
    }),
  ),
  isTruncated: nearly(fc.boolean()),
});
const line = fc.oneof(
  { weight: 5, arbitrary: fc.oneof(progress, rows).map((value) => JSON.stringify(value)) },
  fc.json().filter((text) => !text.includes("\n")),
  fc.string().filter((text) => !text.includes("\n")),
);

function statesOf(store: InventoryInMemory): Map<string, DeviceActionState> {
  const all = store.rows("SELECT key, state FROM device_action");
  return new Map(all.map((row) => [String(row["key"]), row["state"] as DeviceActionState]));
}

/** What is counted is what is there, and rows are numbered without a hole. */
function expectConsistent(store: InventoryInMemory): void {
  const [counts] = store.rows(`SELECT rows_kept,
    (SELECT count(*) FROM query_row) AS there, (SELECT coalesce(max(number), 0) FROM query_row) AS last,
    (SELECT sum(rows_kept) FROM device_action) AS by_device FROM site_action`);
  expect(counts).toMatchObject({
    there: counts?.["rows_kept"],
    last: counts?.["rows_kept"],
    by_device: counts?.["rows_kept"],
  });
  expect(
    store.rows(
      "SELECT 1 FROM site_action WHERE (ended_at IS NULL) <> (state IN ('queued', 'sent', 'running'))",
    ),
  ).toEqual([]);
}

test("no entry whatever breaks a batch, reopens a device that has ended, or leaves half of itself", () => {
  using store = askedSite();
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 6 }), (lines) => {
      const before = statesOf(store);
      const outcome = store.tellStream("actions", lines);
      expect(outcome.rejected.length).toBeLessThanOrEqual(lines.length);
      const after = statesOf(store);
      for (const [key, state] of before) {
        if (isEnded(state) && state !== "unknown") expect(after.get(key)).toBe(state);
      }
      expectConsistent(store);
    }),
    { numRuns: fuzzRuns(300) },
  );
});

const good = fc.oneof(
  fc.record({
    type: fc.constant("progress"),
    source: fc.constant("CM1"),
    commandId: fc.constant("command"),
    at: fc.constant(START),
    devices: fc.array(
      fc.record({ key: fc.constantFrom(...KEYS), state: fc.constantFrom(...DEVICE_ACTION_STATES) }),
      { minLength: 1, maxLength: 3 },
    ),
  }),
  fc.record({
    id: fc.constant("command"),
    state: fc.constantFrom("succeeded", "failed", "refused", "cancelled", "unknown"),
    endedAt: fc.constant(START),
    result: fc.record({ source: fc.constant("CM1"), devices: fc.nat(3) }),
  }),
);

test("whatever is told, in the end every action and every device of it has an end", () => {
  fc.assert(
    fc.property(fc.array(good, { maxLength: 8 }), (entries) => {
      using store = askedSite();
      for (const entry of entries) {
        const stream = "endedAt" in entry ? "commands" : "actions";
        expect(store.tellStream(stream, [JSON.stringify(entry)]).rejected).toEqual([]);
      }
      const now = START + HOUR_MS + SILENCE_MS + 1;
      operations.expireCommands(store.transaction, { now, graceMs: 0 });
      operations.maintainSiteActions(store.transaction, { now });
      expect(store.rows("SELECT state FROM site_action WHERE ended_at IS NULL")).toEqual([]);
      expect([...statesOf(store).values()].filter((state) => !isEnded(state))).toEqual([]);
      expectConsistent(store);
    }),
    { numRuns: fuzzRuns(60) },
  );
});
