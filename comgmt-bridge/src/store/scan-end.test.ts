import type { InventoryEntry } from "@isthmus/shared/link/inventory-messages";
import { expect, test } from "vitest";
import { InventoryStore } from "../testing/inventory-store.ts";

const WHOSE = { source: "CM1", kind: "device" as const, lease: 1 };

/** A source of numbered records, and a clock that moves by a second for each step. */
class Scans {
  readonly store = new InventoryStore();
  now = 0;

  constructor() {
    this.store.run("takeLease", { source: "CM1", lease: 1, revision: 0, at: 0 });
  }

  read(keys: readonly number[]): void {
    this.now += 1_000;
    this.store.run("applyRange", {
      ...WHOSE,
      at: this.now,
      range: undefined,
      facets: ["identity"],
      records: keys.map((key) => ({ key: String(key), facets: { identity: `${key}` } })),
      pages: { all: keys.join() },
    });
  }

  passOver(): void {
    this.now += 1_000;
    this.store.run("passOverRange", { ...WHOSE, at: this.now, range: undefined });
  }

  end(beganAt: number, limits: { share?: number; minimum?: number } = {}) {
    this.now += 1_000;
    const { share = 0, minimum = 5 } = limits;
    const allowed = { maxDeletedShare: share, minDeleted: minimum };
    return this.store.run("endScan", { ...WHOSE, at: this.now, beganAt, ...allowed });
  }

  scan(keys: readonly number[], limits: { share?: number; minimum?: number } = {}) {
    const beganAt = this.now;
    this.read(keys);
    return this.end(beganAt, limits);
  }

  leaving(beganAt: number, limits: { share?: number; minimum?: number } = {}) {
    const { share = 0, minimum = 5 } = limits;
    const allowed = { maxDeletedShare: share, minDeleted: minimum };
    return this.store.run("leaving", { ...WHOSE, at: this.now, beganAt, ...allowed });
  }

  deleted(): Extract<InventoryEntry, { type: "deleted" }>[] {
    return this.store.told().filter((entry) => entry.type === "deleted");
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

test("what is missing from two complete scans is deleted, with both as evidence", () => {
  const scans = new Scans();
  scans.scan([1, 2]);
  expect(scans.scan([1])).toEqual({ deleted: 0, waiting: 0 });
  expect(scans.scan([1])).toEqual({ deleted: 1, waiting: 0 });
  expect(scans.deleted()).toMatchObject([
    {
      keys: ["2"],
      evidence: {
        how: "scans",
        scans: [
          { beganAt: 2_000, endedAt: 4_000 },
          { beganAt: 4_000, endedAt: 6_000 },
        ],
      },
    },
  ]);
  expect(scans.store.run("sourceFigures", {})).toMatchObject([{ records: 1, missing: 0 }]);
});

test("what a scan is about to delete is named before, with the records nearest to it", () => {
  const scans = new Scans();
  const [all, left] = [upTo(50), upTo(50).filter((key) => key !== 25 && key !== 30)];
  scans.scan(all);
  scans.scan(left);
  const beganAt = scans.now;
  scans.read(left);
  const { keys, neighbours } = scans.leaving(beganAt);
  expect(keys).toEqual(["25", "30"]);
  const near = [...all.slice(4, 24).reverse(), ...all.slice(30)];
  expect(neighbours).toEqual(near.map(String));
  expect(scans.leaving(beganAt, { minimum: 1 })).toEqual({ keys: [], neighbours: [] });
  expect(scans.end(beganAt)).toEqual({ deleted: 2, waiting: 0 });
});

test("nothing is about to be deleted by a first scan, nor what an approval lets go", () => {
  const scans = new Scans();
  expect(scans.leaving(0)).toEqual({ keys: [], neighbours: [] });
  scans.scan([1, 2]);
  scans.scan([1], { minimum: 0 });
  scans.scan([1], { minimum: 0 });
  scans.store.run("approveDeletions", { source: "CM1", kind: "device", by: "ada", at: scans.now });
  const beganAt = scans.now;
  scans.read([1]);
  expect(scans.leaving(beganAt, { minimum: 0 })).toEqual({ keys: [], neighbours: [] });
  expect(scans.end(beganAt, { minimum: 0 }).deleted).toBe(1);
});

test("a record that is back in the second scan is no candidate any more", () => {
  const scans = new Scans();
  scans.scan([1, 2]);
  scans.scan([1]);
  scans.scan([1, 2]);
  expect(scans.scan([1]).deleted).toBe(0);
});

test("a range that came in the same bytes counts as another miss", () => {
  const scans = new Scans();
  scans.scan([1, 2]);
  scans.scan([1]);
  const beganAt = scans.now;
  scans.passOver();
  expect(scans.end(beganAt).deleted).toBe(1);
});

test("an interrupted scan proves nothing, and one that is resumed is one", () => {
  const scans = new Scans();
  scans.scan([1, 2]);
  scans.read([1]);
  scans.read([1]);
  expect(scans.scan([1]).deleted).toBe(0);
  expect(scans.scan([1]).deleted).toBe(1);
});

test("a scan that ends twice, since its loop was killed before it knew, is counted once", () => {
  const scans = new Scans();
  scans.scan([1, 2]);
  const beganAt = scans.now;
  scans.read([1]);
  expect(scans.end(beganAt).deleted).toBe(0);
  expect(scans.end(beganAt).deleted).toBe(0);
  expect(scans.scan([1]).deleted).toBe(1);
});

test("a clock that is set back makes no second scan of the first", () => {
  const scans = new Scans();
  scans.now = 1_000_000;
  scans.scan([1, 2]);
  scans.now = 5_000;
  expect(scans.scan([1]).deleted).toBe(0);
  expect(scans.scan([1]).deleted).toBe(1);
});

test("a record that no range of the scan held is not deleted", () => {
  const scans = new Scans();
  scans.scan([1, 2]);
  scans.scan([1]);
  const beganAt = scans.now + 1;
  expect(scans.end(beganAt).deleted).toBe(0);
});

test("after a new epoch of the link two more scans are needed", () => {
  const scans = new Scans();
  scans.scan([1, 2]);
  scans.scan([1]);
  scans.store.beginEpoch();
  expect(scans.store.run("pagesOf", { ...WHOSE, range: undefined })).toEqual({});
  expect(scans.scan([1]).deleted).toBe(0);
  expect(scans.scan([1]).deleted).toBe(1);
});

test.each([
  [0.05, 0, 5, 5],
  [0.05, 0, 6, 0],
  [0.05, 6, 6, 6],
  [0, 0, 1, 0],
  [1, 0, 100, 100],
])(
  "with a share of %f and a minimum of %i, of %i missing in 100 go %i",
  (share, minimum, missing, gone) => {
    const scans = new Scans();
    scans.scan(upTo(100));
    scans.scan(upTo(100 - missing));
    const end = scans.scan(upTo(100 - missing), { share, minimum });
    expect(end).toEqual({ deleted: gone, waiting: missing - gone });
  },
);

test("too many wait until somebody approves, and go at the end of the next scan in which they are missing", () => {
  const scans = new Scans();
  scans.scan(upTo(20));
  scans.scan(upTo(10));
  expect(scans.scan(upTo(10))).toEqual({ deleted: 0, waiting: 10 });
  const keys = ["11", "12", "13", "14", "15", "16", "17", "18", "19", "20"];
  const told = scans.store.told();
  expect(told.at(-2)).toMatchObject({ event: "deletions.waiting", keys });
  expect(told.at(-1)).toMatchObject({ event: "scan.ended", keys });
  expect(scans.scan(upTo(10))).toEqual({ deleted: 0, waiting: 10 });
  const about = { source: "CM1", kind: "device" as const };
  const approve = () =>
    scans.store.run("approveDeletions", { ...about, by: "alice", at: scans.now });
  expect([approve(), approve()]).toEqual([10, 0]);
  const [first] = scans.store.run("waitingDeletions", { ...about, limit: 1 });
  expect(first).toEqual({
    key: "11",
    missedAt: scans.now - 1_000,
    since: expect.any(Number),
    approvedBy: "alice",
  });
  const [audit] = scans.store.rows("SELECT event, payload FROM audit_journal");
  expect(audit?.["event"]).toBe("deletions.approved");
  expect(JSON.parse(String(audit?.["payload"]))).toMatchObject({
    ...about,
    count: 10,
    by: "alice",
  });
  expect(scans.scan(upTo(11)).deleted).toBe(9);
  const [entry] = scans.deleted();
  expect(entry).toMatchObject({ evidence: { how: "scans", approvedBy: "alice" } });
  expect(entry?.keys).not.toContain("11");
  expect(scans.scan(upTo(11))).toEqual({ deleted: 0, waiting: 0 });
});

test("what waits goes by itself when so many are back that the rest is within the share", () => {
  const scans = new Scans();
  scans.scan(upTo(20));
  scans.scan(upTo(10));
  scans.scan(upTo(10));
  expect(scans.scan(upTo(18)).deleted).toBe(2);
});

test("more than an entry holds are told in several", () => {
  const scans = new Scans();
  scans.scan(upTo(1_001));
  scans.scan([]);
  expect(scans.scan([], { share: 1 }).deleted).toBe(1_001);
  expect(scans.deleted().map(({ keys }) => keys.length)).toEqual([500, 500, 1]);
});
