import { createPublicKey } from "node:crypto";
import { openEnvelope } from "@isthmus/cert-connector/protocol/envelope-opening";
import {
  encodeEnvelopedData,
  parseEnvelopedData,
  sealedFor,
} from "@isthmus/cert-connector/protocol/enveloped-data";
import { parsePkiMessage } from "@isthmus/cert-connector/protocol/scep-message";
import { encodeSignedData, parseSignedData } from "@isthmus/cert-connector/protocol/signed-data";
import {
  findSignerCertificate,
  verifySigner,
} from "@isthmus/cert-connector/protocol/signer-verification";
import { systemRandom } from "@isthmus/shared/random";
import {
  TEST_NOW,
  type TestIdentity,
  testAuthority,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { assembleSigned, parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  encodeTbsCertificateList,
  parseCertificateList,
} from "@isthmus/shared/x509/certificate-list";
import {
  encodeCertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { buildChain, verifyIssuedBy } from "@isthmus/shared/x509/chain";
import { printableString } from "@isthmus/shared/x509/der-writer";
import {
  extendedKeyUsageExtension,
  keyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { formatName } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { certIdFor, encodeOcspRequest, parseOcspRequest } from "@isthmus/shared/x509/ocsp-request";
import {
  type CertStatus,
  encodeOcspResponse,
  parseOcspResponse,
} from "@isthmus/shared/x509/ocsp-response";
import { verifyOcspResponse } from "@isthmus/shared/x509/ocsp-verification";
import { SIGNATURE, sign, verify } from "@isthmus/shared/x509/signature";
import { beforeAll, describe, expect, test } from "vitest";
import * as oracle from "./pkijs-adapter.ts";

let authority: TestIdentity;
let device: TestIdentity;
beforeAll(async () => {
  authority = await testAuthority({ subject: "CN=CA,O=Isthmus" });
  device = await testCertificate(
    {
      subject: "CN=device,O=Isthmus",
      key: testRsaKey(),
      extensions: [
        keyUsageExtension(["digitalSignature", "keyEncipherment"]),
        extendedKeyUsageExtension([OID.clientAuth]),
        subjectAltNameExtension([
          { type: "uri", value: "urn:isthmus:device:42" },
          { type: "upn", value: "a@b.example" },
          { type: "ip", value: "2001:db8::1" },
        ]),
        sidExtension("S-1-5-21-1-2-3-500"),
      ],
    },
    authority,
  );
});

const pairOf = ({ key }: TestIdentity) => ({ privateKey: key, publicKey: createPublicKey(key) });
const hex = (buffer: ArrayBuffer | Uint8Array) => Buffer.from(buffer as Uint8Array).toString("hex");

async function listOf(serialNumber: string): Promise<Buffer> {
  const signatureAlgorithm = SIGNATURE.ecdsaWithSHA256;
  const tbs = encodeTbsCertificateList({
    issuer: authority.certificate.subject,
    authorityKeyIdentifier: authority.certificate.subjectKeyIdentifier ?? Buffer.alloc(0),
    thisUpdate: TEST_NOW,
    nextUpdate: TEST_NOW + 3_600_000,
    crlNumber: 9,
    revoked: [{ serialNumber, revokedAt: TEST_NOW, reason: "keyCompromise" }],
    signatureAlgorithm,
  });
  return assembleSigned(
    tbs,
    signatureAlgorithm,
    await sign(signatureAlgorithm, tbs, authority.key),
  );
}

describe("pkijs reads what we write", () => {
  test("a certificate", async () => {
    const { certificate } = device;
    const theirs = oracle.readCertificate(certificate.der);
    expect(hex(theirs.serialNumber.valueBlock.valueHexView)).toBe(certificate.serialNumber);
    expect(theirs.notBefore.value.getTime()).toBe(certificate.notBefore);
    expect(theirs.notAfter.value.getTime()).toBe(certificate.notAfter);
    expect(hex(theirs.subject.toSchema().toBER())).toBe(hex(certificate.subject.der));
    expect(hex(theirs.subjectPublicKeyInfo.toSchema().toBER())).toBe(
      hex(certificate.publicKeyInfo),
    );
    const extensions = theirs.extensions?.map(({ extnID, critical, extnValue }) => ({
      oid: extnID,
      critical,
      value: hex(extnValue.valueBlock.valueHexView),
    }));
    expect(extensions).toEqual(
      certificate.extensions.map(({ value, ...rest }) => ({ ...rest, value: hex(value) })),
    );
    const { der } = authority.certificate;
    expect(await oracle.judgeCertificate(certificate.der, der)).toBe("accepted");
  });

  test("a request", async () => {
    const { subject } = device.certificate;
    const extensionRequest = [subjectAltNameExtension([{ type: "dns", value: "a.example" }])];
    const content = { subject, challengePassword: "secret", extensionRequest };
    const der = await encodeCertificationRequest(content, device.key);
    expect(await oracle.judgeRequest(der)).toBe("accepted");
    const types = oracle.readRequest(der).attributes?.map(({ type }) => type);
    expect(types?.toSorted()).toEqual([OID.extensionRequest, OID.challengePassword].toSorted());
  });

  test("a revocation list", async () => {
    const { der } = authority.certificate;
    for (const [serialNumber, isRevoked] of [
      [device.certificate.serialNumber, true],
      ["77", false],
    ] as const) {
      const list = await listOf(serialNumber);
      expect(await oracle.judgeList(list, der)).toBe("accepted");
      const certificate = oracle.readCertificate(device.certificate.der);
      expect(oracle.readList(list).isCertificateRevoked(certificate)).toBe(isRevoked);
    }
  });

  test("an OCSP request", () => {
    const certId = certIdFor(authority.certificate, device.certificate.serialNumber, OID.sha256);
    const { tbsRequest } = oracle.readOcspRequest(encodeOcspRequest({ certIds: [certId] }));
    const [request] = tbsRequest.requestList;
    expect(hex(request?.reqCert.toSchema().toBER() ?? new ArrayBuffer())).toBe(hex(certId.der));
  });

  test.each<[CertStatus, number]>([
    [{ status: "good" }, 0],
    [{ status: "revoked", revokedAt: TEST_NOW, reason: "superseded" }, 1],
    [{ status: "unknown" }, 2],
  ])("an OCSP response: $status", async (certStatus, expected) => {
    const { certificate } = device;
    const { der: issuer, publicKeyInfo } = authority.certificate;
    const certId = certIdFor(authority.certificate, certificate.serialNumber);
    const der = await encodeOcspResponse({
      responses: [{ certId, certStatus, thisUpdate: TEST_NOW, nextUpdate: TEST_NOW + 1_000 }],
      producedAt: TEST_NOW,
      // pkijs wants the responder's certificate in the answer, even where it is the issuer itself.
      responder: { key: authority.key, publicKeyInfo, certificate: issuer },
    });
    expect(await oracle.statusFromOcsp(der, certificate.der, issuer)).toBe(expected);
  });

  test("SignedData", async () => {
    const der = await encodeSignedData({
      content: Buffer.from("content"),
      certificates: [device.certificate.der],
      signer: { certificate: device.certificate, privateKey: device.key },
      digest: "sha256",
      attributes: [[OID.scepTransactionId, printableString("tx")]],
    });
    expect(await oracle.judgeSignedData(der)).toBe("accepted");
    const { signerInfos } = oracle.readSignedData(der);
    const types = signerInfos[0]?.signedAttrs?.attributes.map(({ type }) => type);
    expect(types).toContain(OID.scepTransactionId);
  });

  test.each(["aes-128-cbc", "aes-256-cbc"] as const)("an envelope with %s", async (cipher) => {
    const of = {
      content: Buffer.from("content"),
      recipient: device.certificate,
      cipher,
      keyEncryption: { scheme: "oaep", digest: "sha256" },
    } as const;
    const der = encodeEnvelopedData(of, systemRandom);
    const opened = await oracle.openWithPkijs(der, device.certificate.der, device.key);
    expect(opened.toString()).toBe("content");
  });

  test("the shape of an envelope with PKCS#1 v1.5, which WebCrypto cannot open", () => {
    const keyEncryption = { scheme: "pkcs1" } as const;
    const of = { content: Buffer.from("x"), recipient: device.certificate, keyEncryption };
    const der = encodeEnvelopedData({ ...of, cipher: "aes-256-cbc" }, systemRandom);
    const { recipientInfos, encryptedContentInfo } = oracle.readEnvelopedData(der);
    expect(recipientInfos).toHaveLength(1);
    expect(encryptedContentInfo.contentEncryptionAlgorithm.algorithmId).toBe(OID.aes256Cbc);
  });
});

describe("we read what pkijs writes", () => {
  test("a certificate", async () => {
    const der = await oracle.makeCertificate("theirs", pairOf(authority));
    const certificate = parseCertificate(der);
    expect(formatName(certificate.subject)).toBe("CN=theirs");
    expect(certificate.serialNumber).toBe("1267");
    expect(certificate.basicConstraints).toEqual({ isCa: true, pathLength: 2 });
    expect(certificate.notBefore).toBe(Date.UTC(2026, 0, 1));
    expect(verifyIssuedBy(certificate, certificate)).toBe(true);
  });

  test("a request", async () => {
    const request = parseCertificationRequest(
      await oracle.makeRequest("theirs", "secret", pairOf(device)),
    );
    expect(formatName(request.subject)).toBe("CN=theirs");
    expect(request.challengePassword).toBe("secret");
    expect(request.verifySignature()).toBe(true);
  });

  test("a revocation list", async () => {
    const list = parseCertificateList(
      await oracle.makeList(authority.certificate.der, authority.key, 0x4001),
    );
    expect([...list.revoked]).toEqual([
      ["4001", { revokedAt: Date.UTC(2026, 0, 1), reason: "superseded" }],
    ]);
    const key = authority.certificate.publicKey();
    expect(verify(list.signatureAlgorithm, list.tbs, list.signature, key)).toBe(true);
  });

  test("an OCSP request and response", async () => {
    const [leaf, issuer] = [device.certificate, authority.certificate];
    const [certId] = parseOcspRequest(await oracle.makeOcspRequest(leaf.der, issuer.der)).certIds;
    expect(certId?.der).toEqual(certIdFor(issuer, leaf.serialNumber, OID.sha256).der);
    const response = parseOcspResponse(
      await oracle.makeOcspResponse(leaf.der, issuer.der, authority.key),
    );
    if (response.status !== "successful") throw new Error(response.status);
    const question = { issuer, serialNumber: leaf.serialNumber, now: TEST_NOW };
    expect(verifyOcspResponse(response, question).certStatus).toEqual({ status: "good" });
  });

  test("SignedData, with SCEP's attributes", async () => {
    const attributes = { [OID.scepMessageType]: "19", [OID.scepTransactionId]: "tx" };
    const { der } = device.certificate;
    const signed = await oracle.signWithPkijs(Buffer.from("x"), der, device.key, attributes);
    expect(judgeSignedData(signed)).toBe("nothing");
    expect(parsePkiMessage(signed)).toMatchObject({ messageType: "PKCSReq", transactionId: "tx" });
  });

  test.each(["SHA-1", "SHA-256", "SHA-512"] as const)(
    "an envelope with OAEP and %s",
    async (digest) => {
      const sealedByThem = await oracle.sealWithPkijs(
        Buffer.from("content"),
        device.certificate.der,
        digest,
      );
      const found = sealedFor(parseEnvelopedData(sealedByThem), [device.certificate]);
      if (found === undefined) throw new Error("it is not for the device");
      const { plaintext, isIntact } = openEnvelope(found.sealed, device.key);
      expect([Buffer.from(plaintext).toString(), isIntact]).toEqual(["content", true]);
    },
  );
});

function judgeSignedData(der: Uint8Array): string {
  return thrownCode(() => {
    const data = parseSignedData(der);
    const [info] = data.signers;
    if (info === undefined) throw new Error("it has no signer");
    verifySigner(data, info, findSignerCertificate(data, info).publicKey());
  });
}

test("both find the same way from a certificate to its authority", async () => {
  const chain = buildChain(device.certificate, [], [authority.certificate], TEST_NOW);
  expect(chain).toHaveLength(2);
  const stranger = await testAuthority({ subject: "CN=CA,O=Isthmus" });
  const verdict = await oracle.judgeCertificate(device.certificate.der, stranger.certificate.der);
  expect(verdict).toBe("refused");
  expect(verifyIssuedBy(device.certificate, stranger.certificate)).toBe(false);
});
