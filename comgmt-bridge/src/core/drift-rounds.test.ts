import type { InventoryDiffers } from "@isthmus/shared/link/inventory-messages";
import { beforeEach, expect, test } from "vitest";
import { DriftRounds } from "./drift-rounds.ts";

let now: number;
let told: string[];
let drift: DriftRounds;

beforeEach(() => {
  now = 1_000;
  told = [];
  drift = new DriftRounds(
    () => now,
    (kind, of) => told.push(`${kind} ${of === undefined ? "healed" : of.keys.join(" ")}`),
  );
});

const differs = (...wanted: string[]): InventoryDiffers => ({
  ...{ type: "inventory-differs", source: "CM1", kind: "device" },
  ...{ buckets: [1], wanted, unknown: ["9"] },
});
/** A digest of which these differ; those that are sent again. */
function round(...wanted: string[]): readonly string[] {
  now += 1;
  drift.digestTold("device");
  return drift.without(differs(...wanted)).wanted;
}

test("what differs after each digest is sent four times, then now and then, and is named with its evidence", () => {
  const sent = Array.from({ length: 24 }, () => round("1").length);
  const rounds = sent.flatMap((length, n) => (length > 0 ? [n + 1] : []));
  expect(rounds).toEqual([1, 2, 3, 4, 8, 16, 24]);
  expect(told).toEqual(["device 1"]);
  expect(drift.unhealed()).toEqual([
    { kind: "device", records: 1, keys: ["1"], rounds: 24, since: 1_004 },
  ]);
});

test("what began to differ since is sent at once, and buckets are always listed", () => {
  for (let n = 0; n < 5; n += 1) round("1");
  drift.digestTold("device");
  expect(drift.without(differs("1", "2"))).toEqual(differs("2"));
});

test("what differs no more has healed, and begins anew", () => {
  for (let n = 0; n < 4; n += 1) round("1");
  for (let n = 0; n < 3; n += 1) round();
  expect([told, drift.unhealed()]).toEqual([["device 1", "device healed"], []]);
  expect(round("1")).toEqual(["1"]);
});

test("the same digest counts once, however often its differences come", () => {
  drift.digestTold("device");
  for (let n = 0; n < 10; n += 1) expect(drift.without(differs("1")).wanted).toEqual(["1"]);
  expect(drift.unhealed()).toEqual([]);
});

test("keys above the limit are sent each time, and kinds are apart", () => {
  const many = Array.from({ length: 10_000 }, (_, n) => `${n + 10}`);
  for (let n = 0; n < 5; n += 1) expect(round(...many, "1")).toContain("1");
  expect(drift.unhealed()[0]).toMatchObject({ records: 10_000, keys: { length: 5 } });
  expect(drift.without({ ...differs("10"), kind: "user" }).wanted).toEqual(["10"]);
});
