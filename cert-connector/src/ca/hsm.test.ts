import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemRandom } from "@isthmus/shared/random";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { SIGNATURE, verify } from "@isthmus/shared/x509/signature";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Hsm } from "./hsm.ts";
import { ecdsaSignature } from "./hsm-key.ts";
import { pinMemory } from "./pkcs11-pin.ts";

/** What can be seen without a token; `test/interop/softhsm.test.ts` has one. */

afterEach(() => {
  vi.unstubAllEnvs();
});

function open(module: string): Promise<Hsm> {
  const place = { module, tokenLabel: "T", pinFile: "/nowhere/pin", sessions: 1 };
  return Hsm.open({ place, timeoutMs: 5_000, random: systemRandom });
}

describe("a token cannot be opened", () => {
  test("with a module that is none, and the error says so", async () => {
    await expect(open("/nowhere/libhsm.so")).rejects.toMatchObject({
      code: "hsm-module-unusable",
      message: expect.stringContaining("/nowhere/libhsm.so"),
    });
  });

  test("without the package, and the error says which and how to install it", async () => {
    const hook =
      'import { registerHooks } from "node:module";' +
      'registerHooks({ resolve: (name, context, next) => next(name === "pkcs11js" ? "./none.js" : name, context) });';
    const url = `data:text/javascript,${encodeURIComponent(hook)}`;
    vi.stubEnv("NODE_OPTIONS", `--import=${url}`);
    await expect(open("/nowhere/libhsm.so")).rejects.toMatchObject({
      code: "hsm-package-missing",
      message: expect.stringContaining("npm install pkcs11js"),
    });
  });
});

test("a PIN that was refused is not tried again until its file changes", () => {
  using folder = temporaryFolder();
  const pinFile = join(folder.path, "pin");
  writeFileSync(pinFile, "1234");
  const before = pinMemory(folder.path);
  expect(() => before.check(pinFile)).not.toThrow();
  before.remember(pinFile);
  const afterRestart = pinMemory(folder.path);
  expect(() => afterRestart.check(pinFile)).toThrow(
    expect.objectContaining({ code: "hsm-pin-refused" }),
  );
  utimesSync(pinFile, 1, 1);
  expect(() => afterRestart.check(pinFile)).not.toThrow();
});

describe("a token's ECDSA signature", () => {
  test.each(["P-256", "P-384"])("on %s becomes the one of certificates", (namedCurve) => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve });
    const message = Buffer.from("message");
    const digest = namedCurve === "P-256" ? "sha256" : "sha384";
    const raw = sign(digest, message, { key: privateKey, dsaEncoding: "ieee-p1363" });
    const algorithm =
      namedCurve === "P-256" ? SIGNATURE.ecdsaWithSHA256 : SIGNATURE.ecdsaWithSHA384;
    expect(verify(algorithm, message, ecdsaSignature(raw), createPublicKey(privateKey))).toBe(true);
  });

  test("of an odd length is refused", () => {
    expect(() => ecdsaSignature(Buffer.alloc(63))).toThrow(
      expect.objectContaining({ code: "hsm-failed" }),
    );
  });
});
