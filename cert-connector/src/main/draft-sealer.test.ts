import { systemRandom } from "@isthmus/shared/random";
import { expect, test } from "vitest";
import { draftSealer } from "./draft-sealer.ts";

const sealer = draftSealer("correct horse", systemRandom);
const KEY = Buffer.from("a private key");

test("a draft opens for its own order alone, on every replica with the passphrase", () => {
  const sealed = sealer.seal(KEY, "order-1");
  expect(sealed.includes(KEY)).toBe(false);
  expect(draftSealer("correct horse", systemRandom).open(sealed, "order-1")).toEqual(KEY);
  const unreadable = expect.objectContaining({ code: "draft-unreadable" });
  expect(() => sealer.open(sealed, "order-2")).toThrow(unreadable);
  expect(() => draftSealer("battery staple", systemRandom).open(sealed, "order-1")).toThrow(
    unreadable,
  );
  for (const broken of [sealed.subarray(1), sealed.subarray(0, 20), Buffer.alloc(0)]) {
    expect(() => sealer.open(broken, "order-1")).toThrow(unreadable);
  }
});
