import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FACETS, InventoryWorld, type Shortness } from "../testing/inventory-world.ts";

/**
 * A source that changes at any time, scans that are interrupted, resumed, short or cut anew, single reads, lost entries, a damaged control
 * plane, lost and restored states: whatever came before, once the source is quiet the control plane has what the source has. The world
 * itself sees to it at every step that nothing is deleted that one of the last two complete scans has found.
 */

const key = fc.integer({ min: 0, max: 45 });
const keys = fc.uniqueArray(key, { maxLength: 8 });
const facet = fc.constantFrom(...FACETS);
/** The volatile facet is in no digest, so nothing would show that it is damaged or that its going was missed. */
const LASTING = FACETS.filter((name) => name !== "volatile");
const lasting = fc.constantFrom(...LASTING);
const value = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.record({ 'é"\\': fc.constantFrom("a", "b", "\ud83d\ude00"), n: fc.nat(2) }),
  fc.array(fc.record({ Size: fc.nat(2) }), { maxLength: 2 }),
);
const short: fc.Arbitrary<Shortness> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ keys: [], classKeys: [] }) },
  { weight: 1, arbitrary: fc.record({ keys, classKeys: keys }) },
);
const width = fc.constantFrom(10, 10, 10, 7);
const limits = fc.record({
  share: fc.constantFrom(0, 0.1, 1),
  minimum: fc.constantFrom(0, 2, 100),
  twice: fc.boolean(),
});

type Step = (world: InventoryWorld) => void;

const put = fc.tuple(keys, fc.dictionary(facet, value, { minKeys: 1 })).map(
  ([which, values]): Step =>
    (world) => {
      for (const one of which) {
        const before = world.source.get(one) ?? { identity: { name: `PC${one}` }, volatile: 0 };
        world.source.set(one, { ...before, ...values });
      }
    },
);
const remove = keys.map(
  (which): Step =>
    (world) => {
      for (const one of which) world.source.delete(one);
    },
);
const removeFacet = fc.tuple(keys, lasting).map(
  ([which, name]): Step =>
    (world) => {
      for (const one of which) {
        const { [name]: _gone, ...rest } = world.source.get(one) ?? {};
        if (world.source.has(one)) world.source.set(one, rest);
      }
    },
);
const readSome = fc.tuple(keys, fc.uniqueArray(facet, { minLength: 1 }), keys).map(
  ([which, facets, gone]): Step =>
    (world) =>
      world.readKeys(which, facets, gone),
);
/** Gone or other, read so, and then as it was, so that its range comes in the bytes of before. */
const flicker = fc.tuple(keys, fc.boolean()).map(
  ([which, isGone]): Step =>
    (world) => {
      const before = which.flatMap((one) => {
        const values = world.source.get(one);
        return values === undefined ? [] : [[one, values] as const];
      });
      for (const [one, values] of before) {
        if (isGone) world.source.delete(one);
        else world.source.set(one, { ...values, stable: "other" });
      }
      world.readKeys(which, FACETS, which);
      for (const [one, values] of before) world.source.set(one, values);
    },
);
const change = fc.oneof(put, put, remove, removeFacet, readSome, flicker);

const scanned = fc.record({ width, short, limits, meanwhile: fc.array(change, { maxLength: 4 }) });
const wholeScan = scanned.map(
  (scan): Step =>
    (world) => {
      if (!world.isScanning) world.beginScan(scan.width);
      const waiting = [...scan.meanwhile];
      while (world.readRange(scan.short, () => waiting.shift()?.(world)));
      world.endScan(scan.limits);
    },
);
/** Left where it is: the next scan goes on with it, or with one of its own. */
const partOfScan = fc.tuple(width, short, fc.nat(4), fc.boolean()).map(
  ([by, left, ranges, isAbandoned]): Step =>
    (world) => {
      if (!world.isScanning) world.beginScan(by);
      for (let n = 0; n < ranges; n++) world.readRange(left);
      if (isAbandoned) world.abandonScan();
    },
);

const deliver: fc.Arbitrary<Step> = fc.constant((world) => world.deliver());
const lose: fc.Arbitrary<Step> = fc.constant((world) => {
  world.deliver(false);
  world.takeLease();
});
const damage = fc.tuple(key, lasting, fc.nat(2)).map(
  ([one, name, how]): Step =>
    (world) => {
      world.isDamaged = true;
      const record = world.cloud.records.get(String(one));
      if (how === 0) for (const each of LASTING) record?.delete(each);
      else if (record === undefined) world.cloud.records.set(String(one), new Map());
      else if (how === 1) record.delete(name);
      else record.set(name, { hash: "0000000000000000", value: "damaged" });
    },
);
const repair: fc.Arbitrary<Step> = fc.constant((world) => {
  world.deliver();
  if (!world.tellDigest()) return;
  world.deliver();
  // Same stream, same place: without damage there is never a difference.
  if (!world.isDamaged) expect(world.cloud.isEqual).toBe(true);
  world.repair();
});
const approve: fc.Arbitrary<Step> = fc.constant((world) => world.approve());
/** The short ways back meet moments that were there before. */
const setBy = fc.oneof(fc.integer({ min: -500, max: 500 }), fc.integer({ min: -30, max: -5 }));
const clock = setBy.map(
  (by): Step =>
    (world) => {
      world.now += by;
    },
);
const loseState: fc.Arbitrary<Step> = fc.constant((world) => world.replaceStore());

/** Nothing goes wrong but scans and pages. */
const ordinary = [
  { weight: 8, arbitrary: change },
  { weight: 8, arbitrary: wholeScan },
  { weight: 3, arbitrary: partOfScan },
  { weight: 4, arbitrary: deliver },
  { weight: 2, arbitrary: repair },
  { weight: 2, arbitrary: approve },
  { weight: 1, arbitrary: clock },
];
const ordinaryStep = fc.oneof(...ordinary);
const step = fc.oneof(
  ...ordinary,
  { weight: 1, arbitrary: lose },
  { weight: 1, arbitrary: damage },
  { weight: 1, arbitrary: loseState },
);

/** The source is quiet, nothing is lost, and somebody approves. */
function comeToRest(world: InventoryWorld): void {
  world.deliver();
  world.abandonScan();
  const rules = { share: 1, minimum: 100, twice: false };
  for (let scans = 0; scans < 6; scans++) {
    world.beginScan(10);
    while (world.readRange({ keys: [], classKeys: [] }));
    world.approve();
    world.endScan(rules);
    world.tellDigest();
    world.repair();
  }
}

function expectEqual(world: InventoryWorld): void {
  expect(world.cloud.values()).toEqual(world.values());
  expect(world.tellDigest()).toBe(true);
  world.deliver();
  expect(world.cloud.isEqual).toBe(true);
  const [figures] = world.store.run("sourceFigures", {});
  expect(figures).toMatchObject({
    records: world.source.size,
    missing: 0,
    unknown: 0,
    waiting: 0,
    approved: 0,
  });
}

const steps = (of: fc.Arbitrary<Step>, maxLength: number) =>
  fc.array(of, { maxLength, size: "max" });

test("where nothing is lost, every digest is that of the control plane, and there is nothing to repair", {
  timeout: 600_000,
}, () => {
  fc.assert(
    fc.property(steps(ordinaryStep, 60), (all) => {
      const world = new InventoryWorld();
      for (const one of all) one(world);
      comeToRest(world);
      expect(world.isDamaged).toBe(false);
      expect(world.repairs).toBe(0);
      expectEqual(world);
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("whatever was lost or damaged, at rest the control plane has what the source has", {
  timeout: 600_000,
}, () => {
  fc.assert(
    fc.property(steps(step, 60), (all) => {
      const world = new InventoryWorld();
      for (const one of all) one(world);
      comeToRest(world);
      expectEqual(world);
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("the same after a backup of the bridge's state was restored", { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(steps(step, 20), steps(step, 20), (before, after) => {
      const world = new InventoryWorld();
      for (const one of before) one(world);
      const { store } = world;
      const restore = store.backup();
      for (const one of after) one(world);
      world.store = store;
      world.replaceStore(restore);
      comeToRest(world);
      expectEqual(world);
    }),
    { numRuns: fuzzRuns(100) },
  );
});
