import { systemRandom } from "@isthmus/shared/random";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { encodeCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { keyUsageExtension } from "@isthmus/shared/x509/extensions";
import { beforeAll, describe, expect, test } from "vitest";
import {
  beginScepTransaction,
  readCaCertificates,
  readScepAnswer,
  type ScepServerDescription,
  type ScepTransaction,
  type ScepWish,
  selectRecipient,
} from "./scep-client.ts";
import { parsePkiMessage, type VerifiedPkiMessage, verifyPkiMessage } from "./scep-message.ts";
import {
  encodeCertRep,
  encodeNextCaCertificates,
  type ScepResult,
  type ScepSigner,
} from "./scep-writer.ts";
import { encodeCertificatesOnly, parseSignedData } from "./signed-data.ts";
import { verifySigner } from "./signer-verification.ts";

let server: ScepSigner;
let client: ScepSigner;
let certificationRequest: Buffer;
const signerOf = ({ certificate, key }: TestIdentity): ScepSigner => ({
  certificate,
  privateKey: key,
});
beforeAll(async () => {
  server = signerOf(await testCertificate({ subject: "CN=RA", key: testRsaKey() }));
  client = signerOf(await testCertificate({ subject: "CN=device", key: testRsaKey() }));
  const { subject } = client.certificate;
  certificationRequest = await encodeCertificationRequest({ subject }, client.privateKey);
});

const description = (): ScepServerDescription => ({ recipient: server.certificate });
const begin = (wish: ScepWish = { messageType: "PKCSReq", certificationRequest }) =>
  beginScepTransaction(wish, client, description(), systemRandom);
const received = (transaction: ScepTransaction) =>
  verifyPkiMessage(parsePkiMessage(transaction.message));
const success = (): ScepResult => ({
  status: "SUCCESS",
  certificates: [client.certificate.der, server.certificate.der],
  cipher: "aes-256-cbc",
  keyEncryption: { scheme: "pkcs1" },
});

async function answered(
  result: ScepResult,
  changes: Partial<VerifiedPkiMessage> = {},
  by: ScepSigner = server,
) {
  const transaction = await begin();
  const bytes = await encodeCertRep(
    { ...received(transaction), ...changes },
    result,
    by,
    systemRandom,
  );
  return { transaction, bytes };
}

describe("an answer", () => {
  test("of success brings the certificates in order", async () => {
    const { transaction, bytes } = await answered(success());
    const answer = readScepAnswer(bytes, transaction);
    expect(answer).toMatchObject({ status: "SUCCESS", certificateLists: [] });
    const thumbprints = answer.status === "SUCCESS" && answer.certificates.map((c) => c.thumbprint);
    expect(thumbprints).toEqual([client.certificate.thumbprint, server.certificate.thumbprint]);
  });

  test("of success opens whatever the client sealed with", async () => {
    const keyEncryption = { scheme: "oaep", digest: "sha256" } as const;
    const { transaction, bytes } = await answered({
      ...success(),
      cipher: "des-cbc",
      keyEncryption,
    } as ScepResult);
    expect(readScepAnswer(bytes, transaction).status).toBe("SUCCESS");
  });

  test("may be that it is pending", async () => {
    const { transaction, bytes } = await answered({ status: "PENDING" });
    expect(readScepAnswer(bytes, transaction)).toEqual({ status: "PENDING" });
  });

  test("of failure says why", async () => {
    const failure = { status: "FAILURE", failInfo: "badRequest", failInfoText: "täglich" } as const;
    const { transaction, bytes } = await answered(failure);
    expect(readScepAnswer(bytes, transaction)).toEqual(failure);
  });

  test("of failure may leave the words out", async () => {
    const { transaction, bytes } = await answered({ status: "FAILURE", failInfo: "badCertId" });
    expect(readScepAnswer(bytes, transaction)).toMatchObject({
      failInfo: "badCertId",
      failInfoText: undefined,
    });
  });

  test("carries a nonce of the server's own, not an echo", async () => {
    const { transaction, bytes } = await answered({ status: "PENDING" });
    const { senderNonce } = parsePkiMessage(bytes);
    expect(senderNonce).toHaveLength(16);
    expect(senderNonce).not.toEqual(transaction.senderNonce);
  });

  test("echoes the transactionID byte for byte", async () => {
    const { transaction, bytes } = await answered({ status: "PENDING" });
    expect(parsePkiMessage(bytes).transactionIdDer).toEqual(received(transaction).transactionIdDer);
  });
});

describe("an answer is refused with scep-answer", () => {
  test("when it lacks our nonce", async () => {
    const { transaction, bytes } = await answered(
      { status: "PENDING" },
      { senderNonce: Buffer.alloc(16) },
    );
    expect(thrownCode(() => readScepAnswer(bytes, transaction))).toBe("scep-answer");
  });

  test("when it has no nonce at all", async () => {
    const { transaction, bytes } = await answered(
      { status: "PENDING" },
      { senderNonce: undefined },
    );
    expect(thrownCode(() => readScepAnswer(bytes, transaction))).toBe("scep-answer");
  });

  test("when it is of another transaction", async () => {
    const { bytes } = await answered({ status: "PENDING" });
    const another = await begin({ messageType: "GetCert", issuerAndSerial: server.certificate });
    expect(thrownCode(() => readScepAnswer(bytes, another))).toBe("scep-answer");
  });

  test("when somebody else signed it", async () => {
    const { transaction, bytes } = await answered(success(), {}, client);
    expect(thrownCode(() => readScepAnswer(bytes, transaction))).toBe("scep-answer");
  });

  test("when it is sealed for another certificate", async () => {
    const { transaction, bytes } = await answered(success(), { signer: server.certificate });
    expect(thrownCode(() => readScepAnswer(bytes, transaction))).toBe("scep-answer");
  });

  test("when it is our own request", async () => {
    const self: ScepTransaction = { ...(await begin()), server: { recipient: client.certificate } };
    expect(thrownCode(() => readScepAnswer(self.message, self))).toBe("scep-answer");
  });
});

describe("transactionID", () => {
  test("is the same when a request is sent again, with a new nonce", async () => {
    const [first, again] = [await begin(), await begin()];
    expect(again.transactionId).toBe(first.transactionId);
    expect(again.senderNonce).not.toEqual(first.senderNonce);
  });

  test("of a poll is that of the request it asks after", async () => {
    const issuerAndSubject = {
      issuer: server.certificate.subject,
      subject: client.certificate.subject,
    };
    const poll = await begin({ messageType: "CertPoll", issuerAndSubject, transactionId: "tx 7" });
    expect(received(poll)).toMatchObject({ messageType: "CertPoll", transactionId: "tx 7" });
  });
});

test("the next CA certificates come signed by the present one", async () => {
  const next = [client.certificate.der];
  const data = parseSignedData(await encodeNextCaCertificates(next, server));
  const [info] = data.signers;
  if (info === undefined) throw new Error("it has no signer");
  verifySigner(data, info, server.certificate.publicKey());
  expect(parseSignedData(data.content).certificates).toEqual(next);
});

describe("certificates of GetCACert", () => {
  test("are one in DER or certs-only", () => {
    const { der } = server.certificate;
    expect(readCaCertificates("application/x-x509-ca-cert", der)[0]?.der).toEqual(der);
    const both = encodeCertificatesOnly([der, client.certificate.der]);
    expect(readCaCertificates("application/x-x509-ca-ra-cert; x=y", both)).toHaveLength(2);
  });

  test("hold an RA by its key usage; without one the first RSA key is it", async () => {
    const authority = await testAuthority({ subject: "CN=EC CA" });
    const ra = await testCertificate({
      subject: "CN=RA",
      key: server.privateKey,
      extensions: [keyUsageExtension(["digitalSignature", "keyEncipherment"])],
    });
    const all = [authority.certificate, client.certificate, ra.certificate];
    expect(selectRecipient(all)).toBe(ra.certificate);
    expect(selectRecipient(all.slice(0, 2))).toBe(client.certificate);
    expect(thrownCode(() => selectRecipient([authority.certificate]))).toBe("scep-answer");
  });
});
