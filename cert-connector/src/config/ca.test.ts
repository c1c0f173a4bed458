import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, describe, expect, test } from "vitest";
import { ca } from "./ca.ts";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const [module, pinFile] = ["module.so", "pin"].map((name) => join(folder.path, name));
writeFileSync(module ?? "", "");
writeFileSync(pinFile ?? "", "1234", { mode: 0o600 });
const good = { module, tokenLabel: "T", pinFile, issuingKeyLabel: "issuing" };

function faults(hsm: Record<string, unknown>): string[] {
  const { error } = ca.safeParse({ folder: "ca", passphraseFile: "p", hsm });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("keys in a token", () => {
  test("need a module, a token, a PIN and the issuing key's name; the rest has a default", () => {
    const parsed = ca.parse({ folder: "ca", passphraseFile: "p", hsm: good });
    expect(parsed.hsm).toEqual({ ...good, sessions: 2, timeoutMs: 5_000 });
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["no token", { tokenLabel: undefined }, "either tokenLabel or slot"],
    ["two names for the token", { slot: 0 }, "either tokenLabel or slot"],
    ["no issuing key", { issuingKeyLabel: undefined }, "issuingKeyLabel or issuingKeyId"],
    ["an id that is not whole octets", { raKeyId: "0a1" }, "hexadecimal"],
    ["a module that is not there", { module: "/nowhere/lib.so" }, "/nowhere/lib.so"],
    ["no session", { sessions: 0 }, "sessions"],
    ["too many sessions", { sessions: 65 }, "sessions"],
    ["no time", { timeoutMs: 99 }, "timeoutMs"],
    ["the PIN itself", { pin: "1234" }, "pin"],
  ])("with %s are a fault", (_, change, reason) => {
    const hsm = Object.fromEntries(
      Object.entries({ ...good, ...change }).filter(([, value]) => value !== undefined),
    );
    expect(faults(hsm)).toEqual([expect.stringContaining(reason)]);
  });

  test("and a PIN that others may read are a fault", () => {
    chmodSync(pinFile ?? "", 0o644);
    expect(faults(good)).toEqual([expect.stringMatching(/^hsm\.pinFile: /)]);
    chmodSync(pinFile ?? "", 0o600);
  });
});
