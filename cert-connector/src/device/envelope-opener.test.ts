import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { issueCertificate, publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import type { HeldKey } from "@isthmus/shared/x509/signing-key";
import { describe, expect, test } from "vitest";
import type { SealedEnvelope } from "../protocol/envelope-opening.ts";
import { encodeEnvelopedData, parseEnvelopedData, sealedFor } from "../protocol/enveloped-data.ts";
import { envelopeOpener } from "./envelope-opener.ts";
import { testEnvelopes, testOpener } from "./envelope-self-test.ts";

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const certificate = parseCertificate(
  await issueCertificate({
    subject: parseNameText("CN=RA"),
    issuer: { selfSignedWith: privateKey },
    publicKeyInfo: publicKeyInfoOf(privateKey),
    validity: { notBefore: 0, notAfter: 4_000_000_000_000 },
    serialNumber: "01",
    extensions: [],
  }),
);

function sealed(content: string): SealedEnvelope {
  const envelope = encodeEnvelopedData(
    {
      content: Buffer.from(content),
      recipient: certificate,
      cipher: "aes-256-cbc",
      keyEncryption: { scheme: "oaep", digest: "sha256" },
    },
    systemRandom,
  );
  const addressed = sealedFor(parseEnvelopedData(envelope), [certificate]);
  if (addressed === undefined) throw new Error("not addressed");
  return addressed.sealed;
}

describe.each([0, 1, 2])("with %i threads", (threads) => {
  test("fifty envelopes at once come back each to who asked", async () => {
    await using opener = envelopeOpener(privateKey, threads);
    const contents = Array.from({ length: 50 }, (_, index) => `content ${index}`);
    const opened = await Promise.all(contents.map((content) => opener.open(sealed(content))));
    expect(opened.map(({ plaintext }) => Buffer.from(plaintext).toString())).toEqual(contents);
    expect(opened.every(({ isIntact }) => isIntact)).toBe(true);
  });

  test("an envelope that was tampered with comes back as noise, not as an error", async () => {
    await using opener = envelopeOpener(privateKey, threads);
    const broken = { ...sealed("secret"), encryptedKey: Buffer.alloc(256, 7) };
    const { plaintext } = await opener.open(broken);
    expect(Buffer.from(plaintext).toString()).not.toContain("secret");
  });
});

describe("with a key that is held elsewhere", () => {
  const decryptRaw = async (octets: Uint8Array) =>
    privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, octets);
  const held = (raw: HeldKey["decryptRaw"] = decryptRaw): HeldKey => ({
    publicKey: certificate.publicKey(),
    sign: () => Promise.reject(new Error("it only decrypts")),
    decryptRaw: raw,
  });

  test("fifty envelopes at once come back each to who asked", async () => {
    await using opener = envelopeOpener(held(), 0);
    const contents = Array.from({ length: 50 }, (_, index) => `content ${index}`);
    const opened = await Promise.all(contents.map((content) => opener.open(sealed(content))));
    expect(opened.map(({ plaintext }) => Buffer.from(plaintext).toString())).toEqual(contents);
  });

  test("an envelope that was tampered with comes back as noise, not as an error", async () => {
    await using opener = envelopeOpener(held(), 0);
    const broken = { ...sealed("secret"), encryptedKey: Buffer.alloc(256, 7) };
    const { plaintext } = await opener.open(broken);
    expect(Buffer.from(plaintext).toString()).not.toContain("secret");
  });

  test("the device is told to come back where the holder is away", async () => {
    const away = new ConnectorError("hsm-unavailable", "away", { isRetryable: true });
    await using opener = envelopeOpener(
      held(() => Promise.reject(away)),
      0,
    );
    await expect(opener.open(sealed("x"))).rejects.toMatchObject({ isRetryable: true });
  });

  test("the self-test at start passes, and fails for a key that opens nothing", async () => {
    await using opener = envelopeOpener(held(), 0);
    await expect(testOpener(certificate, opener)).resolves.toBeUndefined();
    await using other = envelopeOpener(
      held(async (octets) => Buffer.from(octets)),
      0,
    );
    await expect(testOpener(certificate, other)).rejects.toMatchObject({
      code: "envelope-self-test",
    });
  });
});

test("over a thousand waiting envelopes the next is refused, to be tried again", async () => {
  await using opener = envelopeOpener(privateKey, 1);
  const one = sealed("x");
  const waiting = Array.from({ length: 1_000 }, () => opener.open(one));
  await expect(opener.open(one)).rejects.toMatchObject({ code: "opener-busy", isRetryable: true });
  expect((await Promise.all(waiting)).every(({ isIntact }) => isIntact)).toBe(true);
});

test("what waits when the opener is closed is refused", async () => {
  const opener = envelopeOpener(privateKey, 1);
  const waiting = expect(opener.open(sealed("x"))).rejects.toMatchObject({ code: "opener-died" });
  await opener[Symbol.asyncDispose]();
  await waiting;
});

describe("the self-test at start", () => {
  test("passes on this Node", () => {
    expect(() => testEnvelopes({ certificate, privateKey })).not.toThrow();
  });

  test("fails closed where the key does not open what is sealed to the certificate", () => {
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    expect(() => testEnvelopes({ certificate, privateKey: other })).toThrow(
      expect.objectContaining({ code: "envelope-self-test" }),
    );
  });
});
