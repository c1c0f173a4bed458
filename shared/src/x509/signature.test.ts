import { constants, generateKeyPairSync, type KeyObject, sign as signDirectly } from "node:crypto";
import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import {
  bitString,
  explicit,
  integer,
  nullValue,
  objectIdentifier,
  sequence,
} from "./der-writer.ts";
import { publicKeyInfoOf } from "./issue.ts";
import { OID } from "./object-identifiers.ts";
import { describePublicKey, importPublicKey, keyIdentifierOf } from "./public-key.ts";
import {
  parseSignatureAlgorithm,
  SHA1_WITH_RSA,
  SIGNATURE,
  sign,
  signatureAlgorithmFor,
  verify,
} from "./signature.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const p521 = generateKeyPairSync("ec", { namedCurve: "P-521" });
const ed25519 = generateKeyPairSync("ed25519");
const message = Buffer.from("to be signed");

describe.each([
  ["RSA", rsa, SIGNATURE.sha256WithRSA],
  ["P-256", p256, SIGNATURE.ecdsaWithSHA256],
  ["P-384", p384, SIGNATURE.ecdsaWithSHA384],
  ["P-521", p521, SIGNATURE.ecdsaWithSHA512],
  ["Ed25519", ed25519, SIGNATURE.ed25519],
])("%s", (_, pair, expected) => {
  test("signs with its algorithm, and it verifies", async () => {
    const algorithm = signatureAlgorithmFor(pair.privateKey);
    expect(algorithm).toBe(expected);
    const signature = await sign(algorithm, message, pair.privateKey);
    expect(verify(algorithm.der, message, signature, pair.publicKey)).toBe(true);
    expect(verify(algorithm, Buffer.from("another"), signature, pair.publicKey)).toBe(false);
  });

  test("the algorithm comes back from its identifier", () => {
    expect(parseSignatureAlgorithm(expected.der)).toBe(expected);
  });
});

const algorithmIdentifier = (oid: string, ...parameters: Buffer[]) =>
  sequence(objectIdentifier(oid), ...parameters);
const pss = (digest: string, maskDigest: string) =>
  algorithmIdentifier(
    OID.rsassaPss,
    sequence(
      explicit(0, algorithmIdentifier(digest, nullValue())),
      explicit(1, algorithmIdentifier(OID.mgf1, algorithmIdentifier(maskDigest, nullValue()))),
      explicit(2, integer(32)),
    ),
  );

describe("verification", () => {
  const signature = signDirectly("sha256", message, rsa.privateKey);

  test("RSASSA-PSS is taken with one digest throughout", () => {
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const ofPss = signDirectly("sha256", message, { key: rsa.privateKey, padding, saltLength: 32 });
    expect(verify(pss(OID.sha256, OID.sha256), message, ofPss, rsa.publicKey)).toBe(true);
    expect(verify(pss(OID.sha256, OID.sha256), message, signature, rsa.publicKey)).toBe(false);
  });

  test("RSA without its NULL is the same algorithm", () => {
    const der = algorithmIdentifier(OID.sha256WithRSAEncryption);
    expect(verify(der, message, signature, rsa.publicKey)).toBe(true);
  });

  test.each<[string, Buffer, KeyObject]>([
    ["an algorithm of another type than the key", SIGNATURE.ecdsaWithSHA256.der, rsa.publicKey],
    ["RSA by an EC key", SIGNATURE.sha256WithRSA.der, p256.publicKey],
    ["something that is no algorithm", Buffer.from([1]), rsa.publicKey],
  ])("%s is false, not a throw", (_, algorithm, key) => {
    expect(verify(algorithm, message, signature, key)).toBe(false);
  });

  test("SHA-1 is allowed on request only", () => {
    expect(thrownCode(() => parseSignatureAlgorithm(SHA1_WITH_RSA.der))).toBe(
      "x509-signature-algorithm",
    );
    expect(parseSignatureAlgorithm(SHA1_WITH_RSA.der, { allowSha1: true })).toBe(SHA1_WITH_RSA);
  });

  test.each([
    [
      "MD5 with RSA",
      algorithmIdentifier("1.2.840.113549.1.1.4", nullValue()),
      "x509-signature-algorithm",
    ],
    [
      "parameters on ECDSA",
      algorithmIdentifier(OID.ecdsaWithSHA256, nullValue()),
      "x509-signature-algorithm",
    ],
    [
      "parameters on RSA other than NULL",
      algorithmIdentifier(OID.sha256WithRSAEncryption, integer(1)),
      "der-tag",
    ],
    ["PSS with SHA-1", pss(OID.sha1, OID.sha1), "x509-signature-algorithm"],
    ["PSS with two digests", pss(OID.sha256, OID.sha512), "x509-signature-algorithm"],
    ["PSS without parameters", algorithmIdentifier(OID.rsassaPss), "der-truncated"],
  ])("%s is refused", (_, der, code) => {
    expect(thrownCode(() => parseSignatureAlgorithm(der))).toBe(code);
  });

  test("curves that we do not sign with are refused", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
    expect(thrownCode(() => signatureAlgorithmFor(privateKey))).toBe("x509-signature-algorithm");
  });
});

describe("public keys", () => {
  test.each([
    [rsa.publicKey, { kind: "rsa", bits: 2048 }],
    [p256.publicKey, { kind: "ec", curve: "P-256" }],
    [p384.publicKey, { kind: "ec", curve: "P-384" }],
    [p521.publicKey, { kind: "ec", curve: "P-521" }],
    [ed25519.publicKey, { kind: "ed25519" }],
  ])("%#: %o", (key, expected) => {
    expect(describePublicKey(publicKeyInfoOf(key))).toEqual(expected);
    expect(importPublicKey(publicKeyInfoOf(key)).equals(key)).toBe(true);
  });

  const rsaKey = (modulus: bigint, exponent: bigint) => {
    const key = sequence(integer(modulus), integer(exponent));
    return sequence(algorithmIdentifier(OID.rsaEncryption, nullValue()), bitString(key));
  };

  test.each([
    ["1023 bits", 2n ** 1023n - 1n, 65_537n, "x509-public-key"],
    ["1024 bits", 2n ** 1024n - 1n, 65_537n, "nothing"],
    ["8192 bits", 2n ** 8192n - 1n, 65_537n, "nothing"],
    ["8193 bits", 2n ** 8193n - 1n, 65_537n, "x509-public-key"],
    ["an even modulus", 2n ** 2048n - 2n, 65_537n, "x509-public-key"],
    ["exponent 1", 2n ** 2048n - 1n, 1n, "x509-public-key"],
    ["an even exponent", 2n ** 2048n - 1n, 4n, "x509-public-key"],
    ["an exponent of five octets", 2n ** 2048n - 1n, 2n ** 33n + 1n, "x509-public-key"],
    ["a negative modulus", -(2n ** 2048n) + 1n, 65_537n, "x509-public-key"],
  ])("RSA of %s", (_, modulus, exponent, code) => {
    expect(thrownCode(() => describePublicKey(rsaKey(modulus, exponent)))).toBe(code);
  });

  test("unknown algorithms and curves are refused", () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
    expect(thrownCode(() => describePublicKey(publicKeyInfoOf(publicKey)))).toBe("x509-public-key");
    const x25519 = generateKeyPairSync("x25519").publicKey;
    expect(thrownCode(() => describePublicKey(publicKeyInfoOf(x25519)))).toBe("x509-public-key");
  });

  test("a point off its curve is refused", () => {
    const info = Buffer.from(publicKeyInfoOf(p256.publicKey));
    info.fill(1, info.length - 32);
    expect(thrownCode(() => importPublicKey(info))).toBe("x509-public-key");
  });

  test("a key identifier is the SHA-1 of the key bits", () => {
    expect(keyIdentifierOf(publicKeyInfoOf(ed25519.publicKey))).toHaveLength(20);
    expect(keyIdentifierOf(publicKeyInfoOf(p256.publicKey))).not.toEqual(
      keyIdentifierOf(publicKeyInfoOf(p384.publicKey)),
    );
  });
});
