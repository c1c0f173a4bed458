import type { KeyObject } from "node:crypto";
import { systemRandom } from "@isthmus/shared/random";
import { testCertificate, testRsaKey } from "@isthmus/shared/testing/certificate-authority";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes, returnsOrRefuses } from "@isthmus/shared/testing/mutations";
import { encodeCertificationRequest } from "@isthmus/shared/x509/certification-request";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { OPENING_PRIMITIVES, openEnvelope } from "./envelope-opening.ts";
import { encodeEnvelopedData, parseEnvelopedData, sealedFor } from "./enveloped-data.ts";
import { encodeIssuerAndSerial } from "./issuer-and-serial.ts";
import { beginScepTransaction, readScepAnswer, type ScepTransaction } from "./scep-client.ts";
import { readScepContent } from "./scep-content.ts";
import { parsePkiMessage, verifyPkiMessage } from "./scep-message.ts";
import { parseCapabilities, parseScepQuery } from "./scep-request.ts";
import { encodeCertRep, type ScepSigner } from "./scep-writer.ts";
import { encodeCertificatesOnly } from "./signed-data.ts";

let server: ScepSigner;
let transaction: ScepTransaction;
let answers: Buffer[];
let plaintexts: Buffer[];
let envelopes: Buffer[];
beforeAll(async () => {
  server = await identity("CN=RA");
  const client = await identity("CN=device");
  const { subject } = client.certificate;
  const request = await encodeCertificationRequest(
    { subject, challengePassword: "x" },
    client.privateKey,
  );
  const wish = { messageType: "PKCSReq", certificationRequest: request } as const;
  transaction = await beginScepTransaction(
    wish,
    client,
    { recipient: server.certificate },
    systemRandom,
  );
  const message = verifyPkiMessage(parsePkiMessage(transaction.message));
  const certificates = [client.certificate.der];
  const sealing = { cipher: "aes-256-cbc", keyEncryption: { scheme: "pkcs1" } } as const;
  answers = [
    await encodeCertRep(
      message,
      { status: "SUCCESS", certificates, ...sealing },
      server,
      systemRandom,
    ),
    await encodeCertRep(
      message,
      { status: "FAILURE", failInfo: "badTime", failInfoText: "x" },
      server,
      systemRandom,
    ),
  ];
  plaintexts = [
    request,
    encodeCertificatesOnly(certificates),
    encodeIssuerAndSerial(client.certificate),
  ];
  const oaep = { scheme: "oaep", digest: "sha256" } as const;
  const content = { content: request, recipient: server.certificate, ...sealing };
  envelopes = [
    encodeEnvelopedData(content, systemRandom),
    encodeEnvelopedData({ ...content, cipher: "des-cbc", keyEncryption: oaep }, systemRandom),
  ];
});

async function identity(subject: string): Promise<ScepSigner> {
  const { certificate, key } = await testCertificate({ subject, key: testRsaKey() });
  return { certificate, privateKey: key };
}

const check = (runs: number, bytes: readonly Buffer[], act: (hostile: Buffer) => unknown) =>
  fc.assert(
    fc.property(hostileBytes(bytes), (hostile) => returnsOrRefuses(() => act(hostile))),
    { numRuns: fuzzRuns(runs) },
  );

test("any message is verified or refused, and what is verified was not changed", () => {
  const original = parsePkiMessage(transaction.message).signedData.content;
  check(10_000, [transaction.message], (bytes) => {
    const message = verifyPkiMessage(parsePkiMessage(bytes));
    expect(message.signedData.content).toEqual(original);
  });
});

test("any envelope is opened or refused", () => {
  check(10_000, envelopes, (bytes) => {
    const envelope = parseEnvelopedData(bytes, { allowLegacy: true });
    const addressed = sealedFor(envelope, [server.certificate]);
    if (addressed === undefined) return;
    const { plaintext } = openEnvelope(addressed.sealed, server.privateKey, withoutRsa);
    expect(plaintext.length).toBeLessThanOrEqual(envelope.encryptedContent.length);
  });
});

/** RSA would take nearly all of the time and is not what is tried here. */
const withoutRsa = {
  ...OPENING_PRIMITIVES,
  unwrap: (_: unknown, key: KeyObject) => Buffer.alloc(key.type === "private" ? 16 : 0),
};

test("any encrypted key opens to something", () => {
  const property = fc.property(hostileBytes(envelopes), (bytes) => {
    returnsOrRefuses(() => {
      const addressed = sealedFor(parseEnvelopedData(bytes, { allowLegacy: true }), [
        server.certificate,
      ]);
      if (addressed !== undefined) openEnvelope(addressed.sealed, server.privateKey);
    });
  });
  fc.assert(property, { numRuns: fuzzRuns(300) });
});

test.each(["PKCSReq", "RenewalReq", "CertPoll", "GetCert", "GetCRL"] as const)(
  "any content of a %s is read or refused",
  (messageType) => {
    check(2_000, plaintexts, (plaintext) =>
      readScepContent(messageType, { plaintext, isIntact: true }),
    );
  },
);

test("any answer is read or refused", () => {
  check(1_000, answers, (bytes) => readScepAnswer(bytes, transaction));
});

test("any query is read or refused", () => {
  const query = fc.string({
    unit: fc.constantFrom(..."operation=PKIOperation&message%2B+/ \n\0ÿ"),
    maxLength: 60,
  });
  const likely = query.map((text) => `operation=PKIOperation&message=${text}`);
  const property = fc.property(fc.oneof(query, likely), (text) => {
    returnsOrRefuses(() => parseScepQuery(text));
    expect(parseCapabilities(text).size).toBeLessThan(11);
  });
  fc.assert(property, { numRuns: fuzzRuns(10_000) });
});
