import { beforeAll, describe, expect, test } from "vitest";
import {
  TEST_NOW,
  type TestIdentity,
  testAuthority,
  testCertificate,
} from "../testing/certificate-authority.ts";
import { thrownCode } from "../testing/thrown-code.ts";
import {
  enumerated,
  explicit,
  implicit,
  objectIdentifier,
  octetString,
  sequence,
} from "./der-writer.ts";
import { extendedKeyUsageExtension } from "./extensions.ts";
import { OID } from "./object-identifiers.ts";
import { certIdFor, encodeOcspRequest, isIssuedBy, parseOcspRequest } from "./ocsp-request.ts";
import {
  type BasicOcspResponse,
  type CertStatus,
  encodeOcspFailure,
  encodeOcspResponse,
  OCSP_FAILURES,
  type OcspAnswer,
  type OcspFailure,
  parseOcspResponse,
} from "./ocsp-response.ts";
import { verifyOcspResponse } from "./ocsp-verification.ts";

const HOUR_MS = 3_600_000;
const nonce = Buffer.from("0123456789abcdef");
let authority: TestIdentity;
let delegate: TestIdentity;
beforeAll(async () => {
  authority = await testAuthority();
  delegate = await testCertificate(
    { subject: "CN=OCSP", extensions: [extendedKeyUsageExtension([OID.ocspSigning])] },
    authority,
  );
});

const certId = (serialNumber = "4001") => certIdFor(authority.certificate, serialNumber);

describe("a request", () => {
  test("comes back with its certificates and nonce", () => {
    const certIds = [certId("01"), certIdFor(authority.certificate, "02", OID.sha256)];
    const read = parseOcspRequest(encodeOcspRequest({ certIds, nonce }));
    expect(read).toEqual({ certIds, nonce });
  });

  test("names its issuer by digests of name and key", async () => {
    const other = await testAuthority();
    expect(isIssuedBy(certId(), authority.certificate)).toBe(true);
    expect(isIssuedBy(certId(), other.certificate)).toBe(false);
    expect(isIssuedBy({ ...certId(), hashAlgorithm: OID.md5 }, authority.certificate)).toBe(false);
  });

  const many = (count: number) =>
    encodeOcspRequest({ certIds: Array.from({ length: count }, () => certId()) });
  test.each<[string, () => Buffer, string]>([
    ["32 certificates", () => many(32), "nothing"],
    ["33 certificates", () => many(33), "x509-ocsp-request"],
    ["no certificate", () => many(0), "x509-ocsp-request"],
    [
      "a nonce of 128 octets",
      () => encodeOcspRequest({ certIds: [certId()], nonce: Buffer.alloc(128) }),
      "nothing",
    ],
    [
      "a nonce of 129 octets",
      () => encodeOcspRequest({ certIds: [certId()], nonce: Buffer.alloc(129) }),
      "x509-ocsp-request",
    ],
    ["16385 bytes", () => Buffer.alloc(16_385), "x509-ocsp-request"],
    ["something behind it", () => Buffer.concat([many(1), Buffer.from([0])]), "der-trailing"],
  ])("%s", (_, bytes, code) => {
    expect(thrownCode(() => parseOcspRequest(bytes()))).toBe(code);
  });

  test("a name of the requestor and a signature are passed over", () => {
    const list = sequence(sequence(certId().der));
    const tbs = sequence(explicit(1, implicit(2, Buffer.from("a"))), list);
    const read = parseOcspRequest(sequence(tbs, explicit(0, sequence())));
    expect(read.certIds).toHaveLength(1);
  });
});

const good: CertStatus = { status: "good" };
const answer = (changes: Partial<OcspAnswer> = {}): OcspAnswer => ({
  responses: [single(good)],
  producedAt: TEST_NOW,
  nonce,
  responder: { key: authority.key, publicKeyInfo: authority.certificate.publicKeyInfo },
  ...changes,
});
const single = (
  certStatus: CertStatus,
  times = { thisUpdate: TEST_NOW, nextUpdate: TEST_NOW + HOUR_MS },
) => ({
  certId: certId(),
  certStatus,
  ...times,
});
const byDelegate = (identity: TestIdentity): Partial<OcspAnswer> => ({
  responder: {
    key: identity.key,
    publicKeyInfo: identity.certificate.publicKeyInfo,
    certificate: identity.certificate.der,
  },
});

async function response(changes: Partial<OcspAnswer> = {}): Promise<BasicOcspResponse> {
  const read = parseOcspResponse(await encodeOcspResponse(answer(changes)));
  if (read.status !== "successful") throw new Error(`status ${read.status}`);
  return read;
}

describe("a response", () => {
  test.each<CertStatus>([
    good,
    { status: "unknown" },
    { status: "revoked", revokedAt: TEST_NOW - 1_000, reason: "keyCompromise" },
    { status: "revoked", revokedAt: TEST_NOW - 1_000, reason: "unspecified" },
  ])("%o comes back", async (certStatus) => {
    const read = await response({ responses: [single(certStatus)] });
    expect(read.responses).toEqual([single(certStatus)]);
    expect([read.producedAt, read.nonce]).toEqual([TEST_NOW, nonce]);
  });

  test("every failure comes back", () => {
    for (const failure of Object.keys(OCSP_FAILURES) as OcspFailure[]) {
      expect(parseOcspResponse(encodeOcspFailure(failure))).toEqual({ status: failure });
    }
  });

  test.each([
    ["a status that does not exist", sequence(enumerated(4)), "x509-ocsp-response"],
    [
      "another type of response",
      sequence(
        enumerated(0),
        explicit(0, sequence(objectIdentifier("1.2.3"), octetString(sequence()))),
      ),
      "x509-ocsp-response",
    ],
    ["131073 bytes", Buffer.alloc(131_073), "x509-ocsp-response"],
  ])("%s is refused", (_, bytes, code) => {
    expect(thrownCode(() => parseOcspResponse(bytes))).toBe(code);
  });
});

describe("verification", () => {
  const verified = (read: BasicOcspResponse, changes = {}) =>
    verifyOcspResponse(read, {
      issuer: authority.certificate,
      serialNumber: "4001",
      nonce,
      now: TEST_NOW,
      ...changes,
    });

  test("an answer by the issuer holds", async () => {
    expect(verified(await response()).certStatus).toEqual(good);
  });

  test("an answer by the issuer's delegate holds", async () => {
    expect(verified(await response(byDelegate(delegate))).certStatus).toEqual(good);
  });

  test("a cached answer without nonce holds, for five minutes past its end", async () => {
    const cached = await response({ nonce: undefined });
    expect(thrownCode(() => verified(cached, { now: TEST_NOW + HOUR_MS + 300_000 }))).toBe(
      "nothing",
    );
    expect(thrownCode(() => verified(cached, { now: TEST_NOW + HOUR_MS + 300_001 }))).toBe(
      "ocsp-time",
    );
  });

  test("an answer of the future does not, beyond five minutes", async () => {
    const early = await response();
    expect(thrownCode(() => verified(early, { now: TEST_NOW - 300_000 }))).toBe("nothing");
    expect(thrownCode(() => verified(early, { now: TEST_NOW - 300_001 }))).toBe("ocsp-time");
  });

  test("an answer to another nonce does not", async () => {
    const read = await response({ nonce: Buffer.alloc(16) });
    expect(thrownCode(() => verified(read))).toBe("ocsp-nonce");
  });

  test("an answer about another certificate does not", async () => {
    const read = await response();
    expect(thrownCode(() => verified(read, { serialNumber: "4002" }))).toBe("ocsp-missing");
  });

  test("a changed answer does not", async () => {
    const read = await response();
    const tbs = Buffer.from(read.tbs);
    tbs[tbs.length - 1] = (tbs[tbs.length - 1] ?? 0) ^ 1;
    expect(thrownCode(() => verified({ ...read, tbs }))).toBe("ocsp-signature");
  });

  test.each<[string, () => Promise<TestIdentity>]>([
    ["without the purpose", () => testCertificate({ subject: "CN=OCSP" }, authority)],
    [
      "of another issuer",
      async () =>
        testCertificate(
          { subject: "CN=OCSP", extensions: [extendedKeyUsageExtension([OID.ocspSigning])] },
          await testAuthority(),
        ),
    ],
    [
      "whose certificate has expired",
      () =>
        testCertificate(
          {
            subject: "CN=OCSP",
            notAfter: TEST_NOW - 1_000,
            extensions: [extendedKeyUsageExtension([OID.ocspSigning])],
          },
          authority,
        ),
    ],
  ])("an answer by a delegate %s does not", async (_, make) => {
    const read = await response(byDelegate(await make()));
    expect(thrownCode(() => verified(read))).toBe("ocsp-responder");
  });
});
