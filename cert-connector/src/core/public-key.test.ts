import { generateKeyPairSync } from "node:crypto";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { expect, test } from "vitest";
import { keyFault, requireKey } from "./public-key.ts";

const floor = { rsaBits: 2048, curves: ["P-256"] } as const;

test.each([
  [2047, false],
  [2048, true],
  [2049, true],
])("an RSA key of %i bits against a floor of 2048: %s", (bits, isGood) => {
  expect(keyFault({ kind: "rsa", bits }, floor) === undefined).toBe(isGood);
});

test("only the profile's curves pass", () => {
  expect(keyFault({ kind: "ec", curve: "P-256" }, floor)).toBeUndefined();
  expect(keyFault({ kind: "ec", curve: "P-384" }, floor)).toContain("P-384");
  expect(keyFault({ kind: "ed25519" }, floor)).toContain("Ed25519");
});

test("the key is read from its SubjectPublicKeyInfo", () => {
  const strong = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
  expect(requireKey(publicKeyInfoOf(strong), floor)).toEqual({ kind: "ec", curve: "P-256" });
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
  expect(() => requireKey(publicKeyInfoOf(weak), floor)).toThrow(
    expect.objectContaining({ code: "key-below-floor", rule: "profile.keyFloor" }),
  );
});
