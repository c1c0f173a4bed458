import { expect, test } from "vitest";
import {
  acceptedKeys,
  currentKey,
  renewalTime,
  rolloverStep,
  type StoredRegistrationKey,
} from "./registration-keys.ts";

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;

function key(changes: Partial<StoredRegistrationKey> = {}): StoredRegistrationKey {
  return {
    id: "one",
    certificate: new Uint8Array(),
    custody: "pkcs8",
    material: "",
    madeAt: 0,
    publishedAt: 0,
    acceptedUntil: undefined,
    notAfter: 3 * YEAR_MS,
    ...changes,
  };
}

test("a successor is due sixty days before the end, or in the last fifth of a short life", () => {
  expect(renewalTime(key())).toBe(3 * YEAR_MS - 60 * DAY_MS);
  expect(renewalTime(key({ notAfter: 100 * DAY_MS }))).toBe(80 * DAY_MS);
});

test("nothing is done before that time, and a successor is made from it on", () => {
  const due = renewalTime(key());
  expect(rolloverStep([key()], due - 1)).toEqual({ kind: "nothing" });
  expect(rolloverStep([key()], due)).toEqual({ kind: "make" });
  expect(rolloverStep([key()], 0, true)).toEqual({ kind: "make" });
  expect(rolloverStep([], 0)).toEqual({ kind: "make" });
});

test("what is made is published before another is made", () => {
  const waiting = key({ id: "two", publishedAt: undefined });
  expect(rolloverStep([key(), waiting], 4 * YEAR_MS, true)).toEqual({ kind: "publish", id: "two" });
});

test("the key that was published last is the current one, whatever their order", () => {
  const second = key({ id: "two", publishedAt: 5 });
  const waiting = key({ id: "three", publishedAt: undefined });
  expect(currentKey([second, key(), waiting])?.id).toBe("two");
  expect(currentKey([waiting])).toBeUndefined();
});

test("of two that were published in one millisecond the one that was made later is current", () => {
  const second = key({ id: "two", madeAt: 5 });
  expect(currentKey([key(), second])?.id).toBe("two");
  expect(currentKey([second, key()])?.id).toBe("two");
});

test("the previous key is accepted to the end of the overlap and no longer", () => {
  const keys = [key({ acceptedUntil: 100 }), key({ id: "two", publishedAt: 5 })];
  expect(acceptedKeys(keys, 100).map(({ id }) => id)).toEqual(["one", "two"]);
  expect(acceptedKeys(keys, 101).map(({ id }) => id)).toEqual(["two"]);
});
