import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { rejectedCode } from "../testing/thrown-code.ts";
import { publicKeyOf, signJws, thumbprintOf, verifyJws } from "./jws.ts";
import { MAX_JWS_BYTES } from "./messages.ts";

const { privateKey } = generateKeyPairSync("ed25519");
const publicKey = publicKeyOf(privateKey);
const typ = "isthmus-command+jwt";
const good = { alg: "EdDSA", kid: thumbprintOf(publicKey), typ };

/** A JWS with any header and any bytes as payload, truly signed. */
function jwsOf(
  header: object,
  payload: string | Buffer = "{}",
  key: KeyObject = privateKey,
): string {
  const parts = [JSON.stringify(header), payload].map((part) =>
    Buffer.from(part).toString("base64url"),
  );
  const input = parts.join(".");
  return `${input}.${sign(null, Buffer.from(input), key).toString("base64url")}`;
}

/** The same signature: the last of its 86 characters has four bits that mean nothing. */
function otherForm(jws: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return jws.slice(0, -1) + alphabet[alphabet.indexOf(jws.at(-1) ?? "") + 1];
}

test("a thumbprint is that of RFC 8037 appendix A.3", () => {
  const x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
  expect(thumbprintOf({ kty: "OKP", crv: "Ed25519", x })).toBe(
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
  );
});

test("what was signed comes out", async () => {
  const jws = await signJws({ a: [1, "é"] }, typ, privateKey);
  expect(await verifyJws(jws, typ, [publicKey])).toEqual({ a: [1, "é"] });
});

describe("refused", () => {
  const other = generateKeyPairSync("ed25519").privateKey;
  test.each<[string, () => string, string]>([
    ["another type", () => jwsOf({ ...good, typ: "JWT" }), "jws-type"],
    ["no type", () => jwsOf({ alg: "EdDSA", kid: good.kid }), "jws-type"],
    ["a key that is not pinned", () => jwsOf({ ...good, kid: "x" }), "jws-key"],
    ["another key under the pinned one's name", () => jwsOf(good, "{}", other), "jws-signature"],
    [
      "alg none",
      () =>
        `${jwsOf({ ...good, alg: "none" })
          .split(".")
          .slice(0, 2)
          .join(".")}.`,
      "jws-algorithm",
    ],
    ["alg Ed25519", () => jwsOf({ ...good, alg: "Ed25519" }), "jws-algorithm"],
    ["a key in the header", () => jwsOf({ ...good, jwk: publicKeyOf(other) }), "jws-header"],
    ["critical extensions", () => jwsOf({ ...good, crit: ["b64"], b64: false }), "jws-header"],
    ["a payload that is no JSON", () => jwsOf(good, "{"), "jws-payload"],
    [
      "a payload that is no UTF-8",
      () => jwsOf(good, Buffer.from([0x22, 0xff, 0x22])),
      "jws-payload",
    ],
    ["a signature written another way", () => otherForm(jwsOf(good)), "jws-malformed"],
    ["two parts", () => "a.b", "jws-malformed"],
    ["nothing", () => "", "jws-malformed"],
    ["a signature too many", () => `${jwsOf(good)}.x`, "jws-malformed"],
  ])("%s", async (_what, make, code) => {
    expect(await rejectedCode(() => verifyJws(make(), typ, [publicKey]))).toBe(code);
  });

  test("an HMAC with the public key as its secret", async () => {
    const header = Buffer.from(JSON.stringify({ ...good, alg: "HS256" })).toString("base64url");
    const input = `${header}.${Buffer.from("{}").toString("base64url")}`;
    const mac = createHmac("sha256", Buffer.from(publicKey.x, "base64url")).update(input);
    const jws = `${input}.${mac.digest("base64url")}`;
    expect(await rejectedCode(() => verifyJws(jws, typ, [publicKey]))).toBe("jws-algorithm");
  });

  test("a bit changed anywhere", async () => {
    const jws = jwsOf(good, '{"amount":1}');
    for (let at = 0; at < jws.length; at += 7) {
      const changed = jws.slice(0, at) + (jws[at] === "A" ? "B" : "A") + jws.slice(at + 1);
      expect(await rejectedCode(() => verifyJws(changed, typ, [publicKey]))).toMatch(/^jws-/);
    }
  });

  test("one over the limit", async () => {
    const jws = "a".repeat(MAX_JWS_BYTES + 1);
    expect(await rejectedCode(() => verifyJws(jws, typ, [publicKey]))).toBe("jws-too-large");
  });
});

test("a key of another kind is not made into a JWK", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey;
  expect(await rejectedCode(async () => publicKeyOf(rsa))).toBe("key-not-ed25519");
});
