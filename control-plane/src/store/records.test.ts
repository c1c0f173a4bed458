import { join } from "node:path";
import { openStore } from "@isthmus/shared/store/store";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Condition, ListQuery } from "../core/list-query.ts";
import { RESOURCES, type ResourceName } from "../core/resources.ts";
import { batchPayload } from "../testing/batch-payload.ts";
import type { operations } from "./module.ts";
import { type ControlPlaneStore, StoreRecords } from "./records.ts";

const clock = new FakeClock();
const folder = temporaryFolder();
let store: ControlPlaneStore;
let records: StoreRecords;

beforeAll(async () => {
  store = await openStore<typeof operations>({
    file: join(folder.path, "store.db"),
    module: new URL("./module.ts", import.meta.url),
  });
  records = new StoreRecords(store, clock);
  for (let n = 0; n < 25; n++) {
    await records.run("createDevice", {
      id: `device-${String(n).padStart(2, "0")}`,
      deviceName: n % 5 === 0 ? null : `Laptop ${n % 3}`,
      compliance: n % 2 === 0 ? "compliant" : "noncompliant",
      actor: "admin",
      now: clock.now() + n,
    });
  }
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const byId = { property: "id", isDescending: false };

async function allPages(query: ListQuery): Promise<string[]> {
  const ids: string[] = [];
  let after: ListQuery["after"];
  for (;;) {
    const next: ListQuery = after === undefined ? query : { ...query, after };
    const rows = await records.page(next, ["id"]);
    const shown = rows.slice(0, query.top);
    ids.push(...shown.map((row) => String(row["id"])));
    const last = shown.at(-1);
    if (rows.length <= query.top || last === undefined) return ids;
    after = query.order.map(({ property }) => last[property] ?? null);
  }
}

test.each(Object.keys(RESOURCES) as ResourceName[])(
  "%s answers every one of its properties",
  async (resource) => {
    const query = { resource, order: [byId], top: 10 };
    await expect(records.page(query, Object.keys(RESOURCES[resource]))).resolves.toBeDefined();
    expect(await records.count(query)).toBeGreaterThanOrEqual(0);
  },
);

describe("pages follow each other without loss or repetition", () => {
  test.each([
    ["by id", [byId]],
    [
      "by a name that repeats and may be missing",
      [{ property: "deviceName", isDescending: false }, byId],
    ],
    ["by the same downwards", [{ property: "deviceName", isDescending: true }, byId]],
    [
      "by two properties in different directions",
      [
        { property: "complianceState", isDescending: true },
        { property: "deviceName", isDescending: false },
        byId,
      ],
    ],
  ])("%s", async (_how, order) => {
    const whole = await records.page({ resource: "managedDevices", order, top: 100 }, ["id"]);
    const paged = await allPages({ resource: "managedDevices", order, top: 4 });
    expect(paged).toEqual(whole.map((row) => row["id"]));
    expect(new Set(paged).size).toBe(25);
  });
});

describe("conditions", () => {
  const counted = (condition: Condition) =>
    records.count({ resource: "managedDevices", condition, order: [byId], top: 1 });
  const named = (operator: "eq" | "ne" | "gt" | "le", value: string | null): Condition => ({
    kind: "compare",
    property: "deviceName",
    operator,
    value,
  });

  test.each<[string, Condition, number]>([
    ["eq null finds what is missing", named("eq", null), 5],
    ["ne null finds what is there", named("ne", null), 20],
    ["ne a value finds what is missing too", named("ne", "Laptop 1"), 18],
    ["not of a comparison finds what is missing", { kind: "not", operand: named("gt", "A") }, 5],
    [
      "startswith ignores case",
      { kind: "startswith", property: "deviceName", text: "LAPTOP 1" },
      7,
    ],
    [
      "contains takes signs as they are",
      { kind: "contains", property: "deviceName", text: "%" },
      0,
    ],
    ["contains", { kind: "contains", property: "id", text: "-1" }, 10],
    [
      "and with or",
      {
        kind: "and",
        operands: [
          { kind: "compare", property: "complianceState", operator: "eq", value: "compliant" },
          { kind: "or", operands: [named("eq", "Laptop 1"), named("eq", "Laptop 2")] },
        ],
      },
      6,
    ],
  ])("%s", async (_what, condition, expected) => {
    expect(await counted(condition)).toBe(expected);
  });
});

test("a removed device is listed no more and may come back", async () => {
  const act = { actor: "admin", now: clock.now() };
  await records.run("createDevice", { id: "passing", ...act });
  await records.run("removeDevice", { id: "passing", ...act });
  const condition: Condition = {
    kind: "compare",
    property: "id",
    operator: "eq",
    value: "passing",
  };
  const query = { resource: "managedDevices" as const, condition, order: [byId], top: 1 };
  expect(await records.count(query)).toBe(0);
  await expect(records.run("changeDevice", { id: "passing", ...act })).rejects.toMatchObject({
    code: "device-unknown",
  });
  await records.run("createDevice", { id: "passing", ...act });
  expect(await records.count(query)).toBe(1);
  await expect(records.run("createDevice", { id: "passing", ...act })).rejects.toMatchObject({
    code: "device-exists",
  });
  await records.run("removeDevice", { id: "passing", ...act });
});

test("failures that strangers caused and dead letters do not stay for ever", async () => {
  const DAY_MS = 86_400_000;
  const count = async (table: string) =>
    (await store.query<{ n: number }>(`SELECT count(*) AS n FROM ${table}`, [], 1))[0]?.n;
  const connector = { connectorId: "c", sessionNo: 1, stream: "issuance", isAfterPruned: false };
  const newConnectorId = connector.connectorId;
  const claim = { secretHash: "h", service: "cert-connector", displayName: "c" } as const;
  await store.run("createEnrolmentToken", { ...claim, expiresAt: 2, actor: "a", now: 1 });
  await store.run("claimEnrolmentToken", { ...claim, publicKeyX: "x", newConnectorId, now: 1 });
  const hello = { connectorId: "c", bootId: "b", epoch: 0, lastSeq: {}, commandSeq: 0 };
  await store.run("acceptConnector", {
    ...hello,
    configurationVersion: 0,
    clockOffsetMs: 0,
    now: 1,
  });
  const lines = ['{"event":"failed","at":1,"transactionId":"t"}', "no JSON"];
  const batch = {
    ...connector,
    firstSeq: 1,
    entryCount: 2,
    ...batchPayload(lines),
    now: 1,
  };
  expect(await store.run("ingestBatch", batch)).toMatchObject({ rejected: [{ seq: 2 }] });
  await store.run("pruneOldRecords", { now: 30 * DAY_MS });
  expect([await count("issuance_failure"), await count("dead_letter")]).toEqual([1, 1]);
  await store.run("pruneOldRecords", { now: 31 * DAY_MS });
  expect([await count("issuance_failure"), await count("dead_letter")]).toEqual([0, 1]);
  await store.run("pruneOldRecords", { now: 91 * DAY_MS });
  expect([await count("issuance_failure"), await count("dead_letter")]).toEqual([0, 0]);
});
