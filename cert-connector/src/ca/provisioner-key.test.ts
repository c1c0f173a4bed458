import { generateKeyPairSync, verify } from "node:crypto";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { readProvisionerKey } from "./provisioner-key.ts";

/** Made by step's own Go library, for the password "correct horse". */
const KEY_ID = "z33L0RGdOaK8C4xWuEzuqrmlk2G2wN-b3-2ihJ6eWG8";
const ENCRYPTED = {
  protected:
    "eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJjdHkiOiJqd2sranNvbiIsImVuYyI6IkEyNTZHQ00iLCJwMmMiOjEwMDAwMCwicDJzIjoiQUhnZVNNem5BMENPMW9oQWE3QnJjdyJ9",
  encrypted_key: "80OfWoRhRgUSGgdCHoq0qLE_J4_cQajcG3hZkT5dEIrxU5LEd_SgjA",
  iv: "U_NYHt2fbSORBskw",
  ciphertext:
    "iYHFTwr5SGcSKZ61_bDvx_WmGjW63_cERMuQJ6h04_eHO-NB8ew45X_X99plUg24RPEqqqAEZUbtyPDqyibJzIKz0ZsyCtlRnExxBVIAiXu0IRdl2RSJYrLcR0LwbJBxFOugV4esBVJet22grjIBZCC154gVAfVvmDMBszXIMyOeAifUyWIY4CM3SRsdnA5B3AVRjciKkAddrx22ODH4iujUs0N1KRgD9d9aYZ0Znk9agn-ZElMtteFeM6KMJAO22ueIRCLxQ35cvexpjwlayuG3H_6uV6cVL2Hc3qG8ClTAuUhWAsHk9eNb-IJmJ80wIZAsvgD8MbWz29dgtQs",
  tag: "DihO60xlN-qpCVjVLgj4PQ",
} as const;
const COMPACT = Object.values(ENCRYPTED).join(".");
const PASSWORD = "correct horse";

describe("a provisioner's key", () => {
  test.each([
    ["compact", COMPACT],
    ["flattened", JSON.stringify(ENCRYPTED)],
  ])("as step encrypts it, %s, opens with its password", (_, text) => {
    expect(readProvisionerKey(`${text}\n`, PASSWORD).keyId).toBe(KEY_ID);
  });

  test("does not open with another password, or with none", () => {
    expect(thrownCode(() => readProvisionerKey(COMPACT, "battery staple"))).toBe("provisioner-key");
    expect(() => readProvisionerKey(COMPACT, undefined)).toThrow(/no passwordFile/);
  });

  test.each([
    ["an unknown key encryption", { alg: "RSA-OAEP", enc: "A256GCM", p2s: "YQ", p2c: 1_000 }],
    ["an unknown cipher", { alg: "PBES2-HS256+A128KW", enc: "A256CBC", p2s: "YQ", p2c: 1_000 }],
    [
      "costlier than is allowed",
      { alg: "PBES2-HS256+A128KW", enc: "A256GCM", p2s: "YQ", p2c: 2_000_001 },
    ],
  ])("is refused with %s", (_, header) => {
    const text = Buffer.from(JSON.stringify(header)).toString("base64url");
    const changed = JSON.stringify({ ...ENCRYPTED, protected: text });
    expect(thrownCode(() => readProvisionerKey(changed, PASSWORD))).toBe("provisioner-key");
  });

  test.each([
    "",
    "{}",
    "not json",
    '{"kty":"EC","crv":"P-256"}',
    '{"kty":"oct","k":"YQ","d":"YQ"}',
  ])("is none: %j", (text) => {
    expect(thrownCode(() => readProvisionerKey(text, undefined))).toBe("provisioner-key");
  });

  test.each([
    ["ES256", () => generateKeyPairSync("ec", { namedCurve: "P-256" }), "sha256"],
    ["ES384", () => generateKeyPairSync("ec", { namedCurve: "P-384" }), "sha384"],
    ["EdDSA", () => generateKeyPairSync("ed25519"), null],
    ["RS256", () => generateKeyPairSync("rsa", { modulusLength: 2048 }), "sha256"],
  ])("signs tokens with %s", (algorithm, makeKey, digest) => {
    const { privateKey, publicKey } = makeKey();
    const text = JSON.stringify(privateKey.export({ format: "jwk" }));
    const key = readProvisionerKey(text, undefined);
    const [header = "", payload = "", signature = ""] = key.signToken({ sub: "a" }).split(".");
    const parsed = JSON.parse(Buffer.from(header, "base64url").toString());
    expect(parsed).toEqual({ alg: algorithm, typ: "JWT", kid: key.keyId });
    expect(JSON.parse(Buffer.from(payload, "base64url").toString())).toEqual({ sub: "a" });
    const signed = Buffer.from(`${header}.${payload}`);
    const of = { key: publicKey, dsaEncoding: "ieee-p1363" } as const;
    expect(verify(digest, signed, of, Buffer.from(signature, "base64url"))).toBe(true);
  });

  test("without a kid has its thumbprint for one, as step gave it to this key", () => {
    // The public half of the key above, which is all that a thumbprint is made of.
    const jwk = {
      kty: "EC",
      crv: "P-256",
      x: "eQQFmfDFfHeZ7MZHyxNd4rWG8Gbbt3PDeSpyRhb40Zo",
      y: "Khi7YX7WF-9p1YbLvAcri1enfM_MprVd3ABdv2ewdyA",
      d: Buffer.alloc(32, 1).toString("base64url"),
    };
    expect(readProvisionerKey(JSON.stringify(jwk), undefined).keyId).toBe(KEY_ID);
  });
});
