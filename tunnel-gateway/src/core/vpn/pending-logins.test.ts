import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { beforeEach, expect, test } from "vitest";
import { MAX_PENDING_LOGINS, MAX_PENDING_PER_ADDRESS, PendingLogins } from "./pending-logins.ts";

let clock: FakeClock;
let logins: PendingLogins<number>;

beforeEach(() => {
  clock = new FakeClock();
  logins = new PendingLogins({ clock, random: systemRandom });
});

test("a token of 256 bits is good once", () => {
  const opaque = logins.put(7, "192.0.2.1");
  expect(opaque).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(logins.take(opaque)).toBe(7);
  expect(logins.take(opaque)).toBeUndefined();
  expect(logins.take("made-up")).toBeUndefined();
});

test("a login is kept for five minutes and not longer", () => {
  const [one, other] = [logins.put(1, "a"), logins.put(2, "a")];
  clock.advance(299_999);
  expect(logins.take(one)).toBe(1);
  clock.advance(1);
  expect(logins.take(other)).toBeUndefined();
  logins.put(3, "a");
  clock.advance(300_000);
  logins.sweep();
  expect(logins.size).toBe(0);
});

test("an address that begins too many loses its oldest, and no other's", () => {
  const stranger = logins.put(0, "b");
  const first = logins.put(1, "a");
  for (let n = 1; n < MAX_PENDING_PER_ADDRESS; n += 1) logins.put(n, "a");
  expect(logins.size).toBe(MAX_PENDING_PER_ADDRESS + 1);
  logins.put(2, "a");
  expect(logins.size).toBe(MAX_PENDING_PER_ADDRESS + 1);
  expect(logins.take(first)).toBeUndefined();
  expect(logins.take(stranger)).toBe(0);
});

test("a few addresses that fill the table keep nobody out", () => {
  const modest = logins.put(0, "modest");
  const first = logins.put(1, "0");
  for (let n = 1; n < MAX_PENDING_LOGINS; n += 1) logins.put(n, String(n % 4));
  expect(logins.size).toBe(MAX_PENDING_LOGINS);
  const late = logins.put(2, "late");
  expect(logins.size).toBe(MAX_PENDING_LOGINS);
  expect(logins.take(first)).toBeUndefined();
  expect(logins.take(modest)).toBe(0);
  expect(logins.take(late)).toBe(2);
});

test("where every address has one, the oldest goes", () => {
  const first = logins.put(0, "0");
  const second = logins.put(1, "1");
  for (let n = 2; n < MAX_PENDING_LOGINS; n += 1) logins.put(n, String(n));
  logins.put(2, "late");
  expect(logins.take(first)).toBeUndefined();
  expect(logins.take(second)).toBe(1);
});
