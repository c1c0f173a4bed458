import { facetHash } from "@isthmus/shared/link/inventory-digest";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { START } from "../testing/inventory-fixture.ts";
import { InventoryInMemory } from "../testing/inventory-memory.ts";
import { InventoryCount } from "./inventory-count.ts";
import { operations } from "./module.ts";

const MAX_RECORDS = 5;
const MAX_OCTETS = 60_000;

const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.nat({ max: 3_000 }).map((length) => "x".repeat(length)),
  fc.nat({ max: 500 }).map((length) => "é".repeat(length)),
);
const value = fc.oneof(
  fc.constant(null),
  fc.record({ Name: text, Model: text }),
  fc.array(fc.record({ DeviceID: text, FreeSpace: fc.nat() }), { maxLength: 5 }),
);
const facets = fc.dictionary(
  fc.constantFrom("identity", "stable", "volatile", "collections", "SMS_G_System_A"),
  value,
  { maxKeys: 4 },
);
const memberships = fc.record({
  collections: fc.array(
    fc.nat({ max: 30 }).map((n) => `SMS${n}`),
    { maxLength: 40 },
  ),
});
const key = fc.nat({ max: 12 }).map(String);
const step = fc.oneof(
  fc.record({
    type: fc.constant("records" as const),
    told: fc.array(
      fc.record({ key, facets: fc.oneof(facets, memberships), isWhole: fc.boolean() }),
      {
        minLength: 1,
        maxLength: 6,
      },
    ),
  }),
  fc.record({ type: fc.constant("deleted" as const), keys: fc.array(key, { minLength: 1 }) }),
  fc.record({ type: fc.constant("event" as const), message: text }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function entryOf(what: Step, revision: number): unknown {
  const about = { source: "CM1", lease: 1, at: START + revision };
  switch (what.type) {
    case "records":
      return {
        ...{ type: "records", source: "CM1", lease: 1 },
        records: what.told.map(({ key, facets: given, isWhole }, n) => ({
          ...{ kind: "device", key, revision: revision + n, at: START + revision, isWhole },
          facets: Object.fromEntries(
            Object.entries(given).map(([name, each]) => [
              name,
              { hash: facetHash(JSON.stringify(each)), value: each },
            ]),
          ),
        })),
      };
    case "deleted":
      return {
        ...{ type: "deleted", ...about, kind: "device", revision, keys: what.keys },
        evidence: { how: "tombstone", scans: [] },
      };
    case "event":
      return { type: "event", ...about, event: "made-up", message: what.message.slice(0, 1_024) };
  }
}

async function counted(site: InventoryInMemory) {
  const query = async (sql: string, parameters: readonly (string | number | null)[] = []) =>
    site.transaction.all(sql, ...parameters);
  const store = { query } as Parameters<typeof InventoryCount.begin>[0];
  const count = await InventoryCount.begin(store);
  for (;;) {
    const all = await count.step(store);
    if (all !== undefined) return all[0];
  }
}

test("whatever a bridge tells, no source has more records than it may, and it is never thought to take less than it does", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      using site = new InventoryInMemory();
      operations.setInventoryQuota(site.transaction, {
        now: START,
        quotas: { default: { records: MAX_RECORDS, octets: MAX_OCTETS }, sources: {} },
      });
      const before = await counted(site);
      for (const [n, each] of steps.entries()) {
        expect(site.tell([JSON.stringify(entryOf(each, n * 10 + 1))]).rejected).toEqual([]);
      }
      const [records] = site.rows("SELECT count(*) AS n FROM inventory_record");
      expect(Number(records?.["n"])).toBeLessThanOrEqual(MAX_RECORDS);
      const [usage] = site.rows("SELECT * FROM inventory_usage");
      const after = await counted(site);
      expect(Number(usage?.["added_records"] ?? 0)).toBe(Number(records?.["n"]));
      const grown = (after?.octets ?? 0) - (before?.octets ?? 0);
      expect(Number(usage?.["added_octets"] ?? 0)).toBeGreaterThanOrEqual(grown - 1_000);
    }),
    { numRuns: fuzzRuns(200) },
  );
});
