import { expect, test } from "vitest";
import { createRevealKeys, openSealed, publicKeyOfSecret, sealFor } from "./recovery-key-seal.ts";

const value = { keys: [{ id: "A", recoveryKey: "111111-222222" }] };

test("what is sealed to a key is opened with its secret alone", () => {
  const keys = createRevealKeys();
  expect(publicKeyOfSecret(keys.secret)).toBe(keys.publicKey);
  const sealed = sealFor(keys.publicKey, value);
  expect(openSealed(keys.secret, sealed)).toEqual(value);
  expect(() => openSealed(createRevealKeys().secret, sealed)).toThrow("not the one");
});

test("the same value is sealed to other bytes each time, and none of them show it", () => {
  const { publicKey } = createRevealKeys();
  const [first, second] = [sealFor(publicKey, value), sealFor(publicKey, value)];
  expect(first).not.toBe(second);
  expect(Buffer.from(first, "base64url").includes("111111")).toBe(false);
});

test("a changed byte, a short text and a secret of another length are refused", () => {
  const keys = createRevealKeys();
  const bytes = Buffer.from(sealFor(keys.publicKey, value), "base64url");
  for (let at = 0; at < bytes.length; at += 7) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    // The highest bit of an X25519 key is not part of it (RFC 7748), but of the salt.
    expect(() => openSealed(keys.secret, changed.toString("base64url"))).toThrow("not the one");
  }
  expect(() => openSealed(keys.secret, "AAAA")).toThrow("not the one");
  expect(() => publicKeyOfSecret("AAAA")).toThrow("43 characters");
});
