import { MAX_ACTION_DEVICES } from "@isthmus/shared/link/site-messages";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SiteActionRequest } from "../core/site-action-records.ts";
import { recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { InventoryInMemory } from "../testing/inventory-memory.ts";
import { MAX_QUERY_ROWS, MAX_RESULT_BYTES } from "./action-entries.ts";
import { operations } from "./module.ts";
import { MAX_OPEN_ACTIONS } from "./site-action-operations.ts";

const COLLECTION = "CM100014";
let store: InventoryInMemory;

beforeEach(() => {
  store = new InventoryInMemory();
  const collection = told(COLLECTION, 1, { identity: { Name: "All" } }, { kind: "collection" });
  store.tell([JSON.stringify(recordsOf(1, collection))]);
});
afterEach(() => {
  store[Symbol.dispose]();
});

function ask(changes: Partial<SiteActionRequest> = {}) {
  return operations.requestSiteAction(store.transaction, {
    ...{ id: "action", commandId: "command", kind: "site.query", action: "runQuery" },
    ...{ target: { source: "CM1", collectionId: COLLECTION }, payload: { query: "Device" } },
    ...{ details: {}, requestHash: "", actor: "admin", now: START, expiresAt: START + 1 },
    ...changes,
  });
}

const about = { source: "CM1", commandId: "command", at: START };
const tell = (...entries: readonly object[]) =>
  store.tellStream(
    "actions",
    entries.map((entry) => JSON.stringify({ ...about, ...entry })),
  );
const progress = (...devices: readonly object[]) => ({ type: "progress", devices });
const rows = (key: string, count: number) => ({
  ...{ type: "rows", key, isTruncated: false },
  rows: Array.from({ length: count }, () => ({})),
});
const action = () => store.rows("SELECT * FROM site_action")[0];

describe("an action keeps as much as its limit, and says what was left out", () => {
  test("of devices", () => {
    ask();
    const part = (n: number) =>
      progress(...Array.from({ length: 500 }, (_, at) => ({ key: `${n}-${at}`, state: "sent" })));
    tell(...Array.from({ length: MAX_ACTION_DEVICES / 500 }, (_, n) => part(n)));
    expect(action()).toMatchObject({ is_truncated: 0 });
    tell(progress({ key: "over", state: "sent" }, { key: "0-0", state: "running" }));
    expect(action()).toMatchObject({ is_truncated: 1 });
    const counts = store.rows("SELECT state, count(*) AS n FROM device_action GROUP BY state");
    expect(counts).toEqual([
      { state: "running", n: 1 },
      { state: "sent", n: MAX_ACTION_DEVICES - 1 },
    ]);
  });

  test("of rows", () => {
    ask();
    tell(...Array.from({ length: MAX_QUERY_ROWS / 500 }, () => rows("1", 500)));
    expect(action()).toMatchObject({ rows_kept: MAX_QUERY_ROWS, is_truncated: 0 });
    tell(rows("2", 1));
    expect(action()).toMatchObject({ rows_kept: MAX_QUERY_ROWS, is_truncated: 1 });
    expect(store.rows("SELECT key, rows_kept, is_truncated FROM device_action")).toEqual([
      { key: "1", rows_kept: MAX_QUERY_ROWS, is_truncated: 0 },
      { key: "2", rows_kept: 0, is_truncated: 1 },
    ]);
  });

  test("of bytes", () => {
    const payload = { notification: "collectLogs" };
    ask({ kind: "site.notify", action: "collectLogs", payload });
    const output = "x".repeat(131_072);
    const keys = Array.from({ length: MAX_RESULT_BYTES / output.length }, (_, n) => `${n}`);
    for (const key of keys) tell(progress({ key, state: "running", output }));
    expect(action()).toMatchObject({ result_bytes: MAX_RESULT_BYTES, is_truncated: 0 });
    tell(progress({ key: "over", state: "running", output: "x" }));
    expect(action()).toMatchObject({ result_bytes: MAX_RESULT_BYTES, is_truncated: 1 });
    const [over] = store.rows("SELECT output, is_truncated FROM device_action WHERE key = 'over'");
    expect(over).toEqual({ output: null, is_truncated: 1 });
  });
});

test("a site has as many actions without an end as its limit, and room again when one has ended", () => {
  const next = (n: number) => ask({ id: `action-${n}`, commandId: `command-${n}` });
  for (let n = 0; n < MAX_OPEN_ACTIONS; n++) next(n);
  expect(() => next(MAX_OPEN_ACTIONS)).toThrow("wait, or cancel some");
  operations.cancelSiteAction(store.transaction, {
    ...{ id: "action-0", source: "CM1", cancelId: "c", mayCancelOthers: false },
    ...{ actor: "admin", now: START },
  });
  expect(next(MAX_OPEN_ACTIONS)).toMatchObject({ isRepeated: false });
});
