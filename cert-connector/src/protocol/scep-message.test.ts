import { constants, createPublicKey, publicEncrypt } from "node:crypto";
import { systemRandom } from "@isthmus/shared/random";
import {
  type TestIdentity,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import {
  encodeCertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { octetString, printableString, utf8String } from "@isthmus/shared/x509/der-writer";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { beforeAll, describe, expect, test } from "vitest";
import { openEnvelope, type SealedEnvelope } from "./envelope-opening.ts";
import { encodeEnvelopedData, parseEnvelopedData, sealedFor } from "./enveloped-data.ts";
import { encodeIssuerAndSerial } from "./issuer-and-serial.ts";
import { encodeIssuerAndSubject, readScepContent } from "./scep-content.ts";
import { parsePkiMessage, verifyPkiMessage } from "./scep-message.ts";
import { encodeSignedData, type SignedContent } from "./signed-data.ts";

let server: TestIdentity;
let client: TestIdentity;
let certificationRequest: Buffer;
beforeAll(async () => {
  server = await testCertificate({ subject: "CN=RA", key: testRsaKey() });
  client = await testCertificate({ subject: "CN=device", key: testRsaKey() });
  certificationRequest = await encodeCertificationRequest(
    { subject: client.certificate.subject, challengePassword: "secret" },
    client.key,
  );
});

const envelope = (content: Uint8Array) =>
  encodeEnvelopedData(
    {
      content,
      recipient: server.certificate,
      cipher: "aes-128-cbc",
      keyEncryption: { scheme: "pkcs1" },
    },
    systemRandom,
  );

const attributes = (changes: Record<string, Buffer | undefined> = {}) =>
  Object.entries({
    [OID.scepMessageType]: printableString("19"),
    [OID.scepTransactionId]: printableString("tx"),
    [OID.scepSenderNonce]: octetString(Buffer.alloc(16, 5)),
    ...changes,
  }).filter((entry): entry is [string, Buffer] => entry[1] !== undefined);

const write = (changes: Partial<SignedContent> = {}) =>
  encodeSignedData({
    content: envelope(certificationRequest),
    certificates: [client.certificate.der],
    signer: { certificate: client.certificate, privateKey: client.key },
    digest: "sha256",
    attributes: attributes(),
    ...changes,
  });

describe("a message", () => {
  test("is read with what its transaction needs", async () => {
    const message = verifyPkiMessage(parsePkiMessage(await write()));
    expect(message).toMatchObject({
      messageType: "PKCSReq",
      transactionId: "tx",
      senderNonce: Buffer.alloc(16, 5),
      digest: "sha256",
    });
    expect(message.transactionIdDer).toEqual(printableString("tx"));
    expect(message.signer.der).toEqual(client.certificate.der);
  });

  test.each([
    ["3", "CertRep"],
    ["17", "RenewalReq"],
    ["19", "PKCSReq"],
    ["20", "CertPoll"],
    ["21", "GetCert"],
    ["22", "GetCRL"],
  ])("of type %s is a %s", async (number, messageType) => {
    const changed = attributes({ [OID.scepMessageType]: printableString(number) });
    expect(parsePkiMessage(await write({ attributes: changed })).messageType).toBe(messageType);
  });

  test.each<[string, Record<string, Buffer | undefined>, string]>([
    ["nothing wrong", {}, "nothing"],
    ["no senderNonce, as old fleets", { [OID.scepSenderNonce]: undefined }, "nothing"],
    ["a transactionID in UTF-8", { [OID.scepTransactionId]: utf8String("ä") }, "nothing"],
    [
      "a transactionID of 256 characters",
      { [OID.scepTransactionId]: printableString("x".repeat(256)) },
      "nothing",
    ],
    [
      "a transactionID of 257 characters",
      { [OID.scepTransactionId]: printableString("x".repeat(257)) },
      "scep-message",
    ],
    ["an empty transactionID", { [OID.scepTransactionId]: printableString("") }, "scep-message"],
    [
      "a transactionID with a NUL, which PostgreSQL does not store",
      { [OID.scepTransactionId]: utf8String("tx\0") },
      "scep-message",
    ],
    [
      "a transactionID that steers a terminal",
      { [OID.scepTransactionId]: utf8String("\u001b[2Jtx") },
      "scep-message",
    ],
    [
      "a transactionID that turns its line round",
      { [OID.scepTransactionId]: utf8String("tx\u202e") },
      "scep-message",
    ],
    [
      "a transactionID that is no string",
      { [OID.scepTransactionId]: octetString(Buffer.from("tx")) },
      "scep-message",
    ],
    ["no transactionID", { [OID.scepTransactionId]: undefined }, "cms-attribute"],
    ["no messageType", { [OID.scepMessageType]: undefined }, "cms-attribute"],
    [
      "the messageType of a draft",
      { [OID.scepMessageType]: printableString("18") },
      "scep-message",
    ],
    [
      "a messageType that is no number",
      { [OID.scepMessageType]: printableString("PKCSReq") },
      "scep-message",
    ],
    ["a nonce of 64 octets", { [OID.scepSenderNonce]: octetString(Buffer.alloc(64)) }, "nothing"],
    [
      "a nonce of 65 octets",
      { [OID.scepSenderNonce]: octetString(Buffer.alloc(65)) },
      "scep-message",
    ],
  ])("with %s", async (_, changes, code) => {
    const der = await write({ attributes: attributes(changes) });
    expect(thrownCode(() => parsePkiMessage(der))).toBe(code);
  });

  test.each([
    [131_072, "der-truncated"],
    [131_073, "scep-message"],
  ])("of %i bytes: %s", (size, code) => {
    expect(thrownCode(() => parsePkiMessage(Buffer.alloc(size, 0x30).fill(0x84, 1, 2)))).toBe(code);
  });

  test("of a signer without an RSA key is refused, as the answer could not be sealed", async () => {
    const ec = await testCertificate({ serialNumber: "77" });
    const message = parsePkiMessage(await write({ certificates: [ec.certificate.der] }));
    const [signer] = [{ by: "issuerAndSerial", ...ec.certificate } as const];
    const forged = { ...message, signerInfo: { ...message.signerInfo, signer } };
    expect(thrownCode(() => verifyPkiMessage(forged))).toBe("scep-signer-key");
  });

  test("with SHA-1 is verified behind the legacy switch only, and its digest is told", async () => {
    const message = parsePkiMessage(await write({ digest: "sha1" }));
    expect(thrownCode(() => verifyPkiMessage(message))).toBe("cms-digest-algorithm");
    expect(verifyPkiMessage(message, { allowLegacy: true }).digest).toBe("sha1");
  });
});

const sealed = (content: Uint8Array): SealedEnvelope => {
  const found = sealedFor(parseEnvelopedData(envelope(content)), [server.certificate]);
  if (found === undefined) throw new Error("it is not for the server");
  return found.sealed;
};
const read = (of: SealedEnvelope, type: Parameters<typeof readScepContent>[0] = "PKCSReq") =>
  readScepContent(type, openEnvelope(of, server.key));

describe("content", () => {
  test("of an enrolment is a request whose signature is right", () => {
    const content = read(sealed(certificationRequest));
    expect(content).toMatchObject({
      messageType: "PKCSReq",
      certificationRequest: { challengePassword: "secret" },
    });
  });

  test("may be for another key than the one that signed the message", () => {
    const opened = openEnvelope(sealed(certificationRequest), server.key);
    const signerKey = server.certificate;
    expect(readScepContent("RenewalReq", opened, { signerKey }).messageType).toBe("RenewalReq");
  });

  test("makes the key of a first enrolment once", () => {
    const opened = openEnvelope(sealed(certificationRequest), server.key);
    let made = 0;
    const signerKey = {
      publicKeyInfo: client.certificate.publicKeyInfo,
      publicKey: () => {
        made += 1;
        return createPublicKey(client.key);
      },
    };
    readScepContent("PKCSReq", opened, { signerKey });
    expect(made).toBe(1);
  });

  test("of a poll names issuer and subject", () => {
    const [issuer, subject] = [parseNameText("CN=CA"), parseNameText("CN=device")];
    const content = read(sealed(encodeIssuerAndSubject({ issuer, subject })), "CertPoll");
    expect(content).toMatchObject({
      issuerAndSubject: { issuer: { der: issuer.der }, subject: { der: subject.der } },
    });
  });

  test.each(["GetCert", "GetCRL"] as const)("of %s names a certificate", (type) => {
    const content = read(sealed(encodeIssuerAndSerial(server.certificate)), type);
    expect(content).toMatchObject({ issuerAndSerial: { serialNumber: "4001" } });
  });
});

describe("whatever is wrong inside an envelope, the answer is one", () => {
  const wrap = (key: Uint8Array) =>
    publicEncrypt(
      { key: server.certificate.publicKey(), padding: constants.RSA_PKCS1_PADDING },
      key,
    );
  const broken = () => {
    const changed = Buffer.from(certificationRequest);
    changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
    return changed;
  };

  test.each<[string, () => SealedEnvelope]>([
    [
      "a key that is noise",
      () => ({ ...sealed(certificationRequest), encryptedKey: Buffer.alloc(256, 9) }),
    ],
    [
      "another key",
      () => ({ ...sealed(certificationRequest), encryptedKey: wrap(Buffer.alloc(16)) }),
    ],
    [
      "a key of the wrong size",
      () => ({ ...sealed(certificationRequest), encryptedKey: wrap(Buffer.alloc(3)) }),
    ],
    [
      "OAEP that does not fit",
      () => ({
        ...sealed(certificationRequest),
        keyEncryption: { scheme: "oaep", digest: "sha256" },
      }),
    ],
    [
      "padding that is wrong",
      () => ({
        ...sealed(certificationRequest),
        encryptedContent: sealed(certificationRequest).encryptedContent.subarray(0, -16),
      }),
    ],
    ["content that is no request", () => sealed(Buffer.from("hello"))],
    ["a request that somebody else signed", () => sealed(broken())],
    [
      "a request with something behind it",
      () => sealed(Buffer.concat([certificationRequest, Buffer.from([0])])),
    ],
  ])("%s", (_, make) => {
    const outcome = (() => {
      try {
        return read(make());
      } catch (error) {
        return error;
      }
    })();
    expect(outcome).toMatchObject({
      code: "scep-content",
      message: "SCEP message: the content cannot be read",
    });
    expect(outcome).not.toHaveProperty("cause");
  });

  test("and content is read even where the padding was wrong, so that time does not tell", () => {
    const plaintext = certificationRequest;
    expect(parseCertificationRequest(plaintext).verifySignature()).toBe(true);
    let wasRead = false;
    const signerKey = {
      get publicKeyInfo() {
        wasRead = true;
        return client.certificate.publicKeyInfo;
      },
      publicKey: () => client.certificate.publicKey(),
    };
    const act = () => readScepContent("PKCSReq", { plaintext, isIntact: false }, { signerKey });
    expect(thrownCode(act)).toBe("scep-content");
    expect(wasRead).toBe(true);
  });
});
