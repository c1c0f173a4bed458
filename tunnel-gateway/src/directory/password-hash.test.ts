import { scryptSync } from "node:crypto";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { hashPassword, isPasswordHash, nobodysHash, verifyPassword } from "./password-hash.ts";

const salt = Buffer.alloc(16, 7);

test("a hash is scrypt's (RFC 7914), and only its own password holds", async () => {
  const hash = await hashPassword("correct horse", salt);
  const key = scryptSync("correct horse", salt, 32, { N: 16_384, r: 8, p: 1 });
  expect(hash).toBe(`scrypt$16384$8$1$${salt.toString("base64url")}$${key.toString("base64url")}`);
  expect(isPasswordHash(hash)).toBe(true);
  expect(await verifyPassword("correct horse", hash)).toBe(true);
  expect(await verifyPassword("Correct horse", hash)).toBe(false);
});

const hashOf = (cost: string) => `scrypt$${cost}$${"A".repeat(22)}$${"A".repeat(43)}`;

test.each([
  ["16384$8$1", true],
  ["65536$8$1", true],
  ["65536$8$2", true],
  ["131072$8$1", false],
  ["65536$8$3", false],
  ["16383$8$1", false],
  ["16384$0$1", false],
  ["16384$8$0", false],
  ["512$8$1", false],
])("a cost of %s may be checked: %s", (cost, isOne) => {
  expect(isPasswordHash(hashOf(cost))).toBe(isOne);
});

test("the most that may be checked can be", async () => {
  expect(await verifyPassword("guess", hashOf("65536$8$1"))).toBe(false);
});

test("nobody's hash costs what another does, and holds for no password", async () => {
  expect(nobodysHash()).toContain("scrypt$16384$8$1$");
  expect(nobodysHash(hashOf("2048$8$2"))).toContain("scrypt$2048$8$2$");
  expect(isPasswordHash(nobodysHash())).toBe(true);
  expect(await verifyPassword("", nobodysHash(hashOf("2048$8$1")))).toBe(false);
});

test("what is no hash is no wrong password", async () => {
  expect(await rejectedCode(() => verifyPassword("p", "{SSHA}abc"))).toBe("password-hash");
});
