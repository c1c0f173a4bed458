import { recordDigest } from "@isthmus/shared/link/inventory-digest";
import { inventoryEntry, RECORD_KINDS } from "@isthmus/shared/link/inventory-messages";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { InventoryInMemory } from "../testing/inventory-memory.ts";
import { isRecordsEntry } from "./inventory-checks.ts";

const scalar = fc.oneof(
  fc.constantFrom(
    null,
    undefined,
    true,
    -1,
    0,
    1,
    1.5,
    2 ** 53,
    "",
    "CM1",
    "device",
    "0".repeat(16),
  ),
  fc.string({ unit: "binary" }),
);
const facetName = fc.oneof(
  fc.constantFrom("identity", "stable", "volatile", "collections", "constructor", "SMS_G_System_X"),
  fc.constantFrom("__proto__", "", "a b", `a${"b".repeat(128)}`),
);
const nested = fc.integer({ min: 0, max: 40 }).map((depth) => {
  let value: unknown = [];
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? { value } : [value];
  return value;
});

/** Nearly an entry of records: any part of it may be something else. */
const nearly = <T>(good: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 30, arbitrary: good }, { weight: 1, arbitrary: scalar });
const record = fc.record(
  {
    kind: nearly(fc.constantFrom<unknown>(...RECORD_KINDS)),
    key: nearly(fc.constantFrom("1", "2", "\ud800", "k".repeat(256), "k".repeat(257))),
    revision: nearly(fc.nat()),
    at: nearly(fc.constantFrom(START, 8_640_000_000_000_000, 8_640_000_000_000_001)),
    isWhole: nearly(fc.boolean()),
    facets: nearly(
      fc.dictionary(
        facetName,
        nearly(
          fc.record(
            { hash: nearly(fc.constant("0".repeat(16))), value: fc.oneof(nested, fc.jsonValue()) },
            { requiredKeys: ["hash"] },
          ),
        ),
        { maxKeys: 4 },
      ),
    ),
  },
  { requiredKeys: ["kind", "key", "revision", "at", "isWhole", "facets"] },
);
const entry = fc.record({
  type: fc.constant("records"),
  source: nearly(fc.constantFrom("CM1", "ad.corp.example", "", "-x", "s".repeat(65))),
  lease: nearly(fc.constantFrom(1, 2)),
  records: nearly(fc.array(record, { maxLength: 3 })),
});

test("the checks by hand take what the schema takes, and nothing else", () => {
  fc.assert(
    fc.property(entry, (made) => {
      const value = JSON.parse(JSON.stringify(made));
      // The schema passes over this one name, which is none that a facet may have.
      if (hasFacetNamedProto(value)) expect(isRecordsEntry(value)).toBe(false);
      else expect(isRecordsEntry(value)).toBe(inventoryEntry.safeParse(value).success);
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

function hasFacetNamedProto({ records }: { readonly records?: unknown }): boolean {
  return (
    Array.isArray(records) &&
    records.some((each) => Object.hasOwn(Object(Object(each).facets), "__proto__"))
  );
}

/** Whether every record is whole: what is stored of it, and what its digest was made of, are the same. */
function expectConsistent(store: InventoryInMemory): void {
  const facets = new Map<unknown, Record<string, string>>();
  for (const row of store.rows("SELECT record_id, facet, hash FROM inventory_facet")) {
    const hashes = facets.get(row["record_id"]) ?? {};
    hashes[String(row["facet"])] = String(row["hash"]);
    facets.set(row["record_id"], hashes);
  }
  const records = store.rows(
    "SELECT id, key, digest FROM inventory_record WHERE deleted_at IS NULL",
  );
  for (const { id, key, digest } of records) {
    expect(digest).toBe(recordDigest(String(key), facets.get(id) ?? {}));
    facets.delete(id);
  }
  expect([...facets.keys()]).toEqual([]);
}

const line = fc.oneof(
  { weight: 4, arbitrary: entry.map((value) => JSON.stringify(value)) },
  fc.json().filter((text) => !text.includes("\n")),
  fc.string().filter((text) => !text.includes("\n")),
  fc
    .record({
      type: fc.constantFrom("deleted", "digest", "bucket", "event", "records", "other"),
      source: fc.constant("CM1"),
      lease: fc.constant(1),
      kind: nearly(fc.constant("device")),
      at: fc.constant(START),
      keys: nearly(fc.array(fc.constantFrom("1", "2"))),
      revision: fc.nat(),
      evidence: fc.constant({ how: "scans", scans: [] }),
      count: fc.nat(),
      buckets: nearly(fc.base64String()),
      bucket: fc.nat(5_000),
      records: fc.array(fc.tuple(fc.string(), fc.constant("0".repeat(16)))),
      event: fc.constant("scan.ended"),
      message: nearly(fc.string()),
    })
    .map((value) => JSON.stringify(value)),
);

test("no entry whatever breaks a batch or leaves half a record", () => {
  using store = new InventoryInMemory();
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 6 }), (lines) => {
      const outcome = store.tell(lines);
      expect(outcome.rejected.length).toBeLessThanOrEqual(lines.length);
      expectConsistent(store);
    }),
    { numRuns: fuzzRuns(400) },
  );
});

const facetValue = fc.oneof(
  fc.constant(null),
  fc.constantFrom<unknown>(
    [],
    ["A"],
    ["A", "B"],
    ["C"],
    { Name: "x" },
    { Name: "y", isOnline: true },
  ),
);
const change = fc.record({
  key: fc.constantFrom("1", "2", "3"),
  isDeleted: fc.boolean(),
  isWhole: fc.boolean(),
  facets: fc.dictionary(
    fc.constantFrom("identity", "stable", "volatile", "collections", "SMS_G_System_X"),
    facetValue,
    { maxKeys: 4 },
  ),
});

type Change = typeof change extends fc.Arbitrary<infer Made> ? Made : never;

/** Entries as a bridge would tell them, one change after the other under rising revisions. */
function entriesOf(changes: readonly Change[]): string[] {
  return changes.map(({ key, isDeleted, isWhole, facets }, index) => {
    const revision = index + 1;
    if (!isDeleted) return JSON.stringify(recordsOf(1, told(key, revision, facets, { isWhole })));
    const about = { source: "CM1", lease: 1, kind: "device", at: START + revision, revision };
    const evidence = { how: "tombstone", scans: [] };
    return JSON.stringify({ type: "deleted", ...about, keys: [key], evidence });
  });
}

const STATE = [
  "SELECT r.key, r.revision, r.digest, r.deleted_at, r.name, r.is_online FROM inventory_record r ORDER BY r.key",
  "SELECT r.key, f.facet, f.revision, f.at, f.value FROM inventory_facet f JOIN inventory_record r ON r.id = f.record_id ORDER BY 1, 2",
  "SELECT r.key, h.facet, h.revision, h.at, h.until, h.value FROM inventory_history h JOIN inventory_record r ON r.id = h.record_id ORDER BY 1, 2, 3",
  "SELECT r.key, m.collection_key FROM inventory_membership m JOIN inventory_record r ON r.id = m.record_id ORDER BY 1, 2",
  "SELECT r.key, t.kind, t.title, t.detail FROM timeline_event t JOIN inventory_record r ON r.id = t.record_id ORDER BY r.key, t.id",
];
const stateOf = (store: InventoryInMemory) => STATE.map((sql) => store.rows(sql));

test("what is told again, in whatever batches, changes nothing", () => {
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 15 }),
      fc.array(fc.tuple(fc.nat(14), fc.nat(14)), { maxLength: 6 }),
      (changes, replays) => {
        const lines = entriesOf(changes);
        using once = new InventoryInMemory();
        once.tell(lines);
        using again = new InventoryInMemory();
        for (const one of lines) again.tell([one]);
        // The same seqs once more: the answer was lost. And the same entries under new ones: the sender was restored.
        again.tell(lines, 1);
        for (const [from, to] of replays) {
          const some = lines.slice(Math.min(from, to), Math.max(from, to));
          if (some.length > 0) again.tell(some);
        }
        expect(stateOf(again)).toEqual(stateOf(once));
        expectConsistent(once);
      },
    ),
    { numRuns: fuzzRuns(150) },
  );
});

test("after entries were lost, whole records and deletions bring about the state that there would have been", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(change, fc.boolean()), { minLength: 1, maxLength: 15 }),
      (changes) => {
        const lines = entriesOf(changes.map(([made]) => made));
        using complete = new InventoryInMemory();
        complete.tell(lines);
        using holed = new InventoryInMemory();
        const told = lines.filter((_, index) => changes[index]?.[1] === true);
        if (told.length > 0) holed.tell(told);
        holed.tell(repairOf(complete, lines.length + 1));
        const current = (store: InventoryInMemory) => [
          store.rows(
            "SELECT key, digest FROM inventory_record WHERE deleted_at IS NULL ORDER BY key",
          ),
          store.rows(
            "SELECT r.key, f.facet, f.value FROM inventory_facet f JOIN inventory_record r ON r.id = f.record_id ORDER BY 1, 2",
          ),
          ...[stateOf(store)[3]],
        ];
        expect(current(holed)).toEqual(current(complete));
        expectConsistent(holed);
      },
    ),
    { numRuns: fuzzRuns(150) },
  );
});

/** What a bridge tells that knows all records and is asked for them. */
function repairOf(complete: InventoryInMemory, revision: number): string[] {
  return ["1", "2", "3"].map((key) => {
    const rows = complete.rows(
      `SELECT f.facet, f.value FROM inventory_record r LEFT JOIN inventory_facet f ON f.record_id = r.id
       WHERE r.deleted_at IS NULL AND r.key = '${key}'`,
    );
    const about = { source: "CM1", lease: 1, kind: "device", at: START + revision, revision };
    const evidence = { how: "repair", scans: [] };
    if (rows.length === 0) {
      return JSON.stringify({ type: "deleted", ...about, keys: [key], evidence });
    }
    const facets = rows
      .filter(({ facet }) => facet !== null)
      .map(({ facet, value }) => [facet, JSON.parse(String(value))]);
    return JSON.stringify(
      recordsOf(1, told(key, revision, Object.fromEntries(facets), { isWhole: true })),
    );
  });
}
