import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { beforeAll, expect, test } from "vitest";
import { ADDRESS_THRESHOLD, POINT_DECAY_MS } from "./login-scores.ts";
import { Passwords } from "./password.ts";
import type { Records } from "./ports.ts";
import { LoginThrottled, SignIn } from "./sign-in.ts";

const passwords = new Passwords(systemRandom, { N: 1_024, r: 8, p: 1, maxmem: 4_194_304 });
let passwordHash: string;

beforeAll(async () => {
  passwordHash = await passwords.hash("the right password");
});

function signIn(account: { isDisabled?: boolean } = {}) {
  const clock = new FakeClock();
  const asked: [string, Record<string, unknown>][] = [];
  const records = {
    run: async (name: string, argument: Record<string, unknown>) => {
      asked.push([name, argument]);
      if (name === "openSession") return { userName: "admin", expiresAt: argument["expiresAt"] };
      const isKnown = name === "loginOf" && argument["userName"] === "admin";
      return isKnown ? { id: "1", passwordHash, isDisabled: false, ...account } : undefined;
    },
  } as unknown as Records;
  return { clock, asked, of: new SignIn({ records, passwords, clock, random: systemRandom }) };
}

test("the right password opens a session whose token the store never sees", async () => {
  const { of, asked } = signIn();
  const { token } = await of.open("admin", "the right password", "::1");
  expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(JSON.stringify(asked)).not.toContain(token);
  expect(asked.at(-1)).toMatchObject(["openSession", { administratorId: "1", address: "::1" }]);
});

test.each([
  ["an unknown name", "nobody", "the right password", {}, "unknown"],
  ["a wrong password", "admin", "a wrong password", {}, "password"],
  ["a disabled account", "admin", "the right password", { isDisabled: true }, "disabled"],
  ["the right password and more", "admin", `the right password${"x".repeat(300)}`, {}, "password"],
])(
  "%s is refused in the same words, and kept with its reason",
  async (_what, name, word, account, reason) => {
    const { of, asked } = signIn(account);
    await expect(of.open(name, word, "::1")).rejects.toMatchObject({
      code: "login-refused",
      message: "User name or password is wrong",
    });
    expect(asked.at(-1)).toMatchObject(["refuseSession", { reason, address: "::1" }]);
  },
);

test("after too many failures nothing is looked at until a point has decayed", async () => {
  const { of, asked, clock } = signIn();
  for (let n = 0; n < ADDRESS_THRESHOLD; n++) {
    await expect(of.open("admin", "wrong", "::1")).rejects.toMatchObject({ code: "login-refused" });
  }
  asked.length = 0;
  await expect(of.open("admin", "the right password", "::1")).rejects.toBeInstanceOf(
    LoginThrottled,
  );
  expect(asked).toEqual([]);
  clock.advance(POINT_DECAY_MS);
  await expect(of.open("admin", "the right password", "::1")).resolves.toBeDefined();
});

test("attempts at the same moment count before they are checked", async () => {
  const { of, asked } = signIn();
  const attempts = Array.from({ length: 20 }, () => of.open("admin", "wrong", "::1"));
  const outcomes = await Promise.allSettled(attempts);
  const throttled = outcomes.filter(
    (outcome) => outcome.status === "rejected" && outcome.reason instanceof LoginThrottled,
  );
  expect(throttled).toHaveLength(20 - ADDRESS_THRESHOLD);
  expect(asked.filter(([name]) => name === "loginOf")).toHaveLength(ADDRESS_THRESHOLD);
});
