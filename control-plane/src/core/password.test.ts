import { systemRandom } from "@isthmus/shared/random";
import { expect, test } from "vitest";
import {
  checkPasswordLength,
  MAX_CHECKS_IN_PROGRESS,
  MAX_CHECKS_WAITING,
  MAX_PASSWORD_CHARACTERS,
  MIN_PASSWORD_CHARACTERS,
  Passwords,
} from "./password.ts";

const passwords = new Passwords(systemRandom, { N: 1024, r: 8, p: 1, maxmem: 4 * 1024 * 1024 });

test("the right password is correct, any other is not", async () => {
  const stored = await passwords.hash("correct horse battery");
  expect(await passwords.isCorrect("correct horse battery", stored)).toBe(true);
  expect(await passwords.isCorrect("correct horse batterz", stored)).toBe(false);
});

test("what is stored holds no password and differs each time", async () => {
  const [first, second] = await Promise.all([
    passwords.hash("same words"),
    passwords.hash("same words"),
  ]);
  expect(first).not.toBe(second);
  expect(first).not.toContain("same");
});

test("no account, no match", async () => {
  expect(await passwords.isCorrect("", undefined)).toBe(false);
});

test("checks beyond the bound are refused and those before it all answered", async () => {
  const bound = MAX_CHECKS_IN_PROGRESS + MAX_CHECKS_WAITING;
  const checks = Array.from({ length: bound + 1 }, () => passwords.isCorrect("x", undefined));
  const outcomes = await Promise.allSettled(checks);
  expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(bound);
  expect(outcomes.at(-1)).toMatchObject({ reason: { code: "too-many-logins", isRetryable: true } });
});

test.each([
  [MIN_PASSWORD_CHARACTERS - 1, false],
  [MIN_PASSWORD_CHARACTERS, true],
  [MAX_PASSWORD_CHARACTERS, true],
  [MAX_PASSWORD_CHARACTERS + 1, false],
])("a password of %i characters is accepted: %s", (length, isAccepted) => {
  const check = () => checkPasswordLength("x".repeat(length));
  if (isAccepted) expect(check).not.toThrow();
  else expect(check).toThrow(expect.objectContaining({ code: "weak-password" }));
});

test("the cost is part of what is stored: another cost, another key", async () => {
  const stored = await new Passwords(systemRandom).hash("correct horse battery");
  expect(await new Passwords(systemRandom).isCorrect("correct horse battery", stored)).toBe(true);
  expect(await passwords.isCorrect("correct horse battery", stored)).toBe(false);
});
