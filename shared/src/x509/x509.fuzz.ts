import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  CA_EXTENSIONS,
  TEST_NOW,
  testAuthority,
  testCertificate,
} from "../testing/certificate-authority.ts";
import { fuzzRuns } from "../testing/fuzz-runs.ts";
import { hostileBytes, returnsOrRefuses } from "../testing/mutations.ts";
import { assembleSigned, parseCertificate } from "./certificate.ts";
import { encodeTbsCertificateList, parseCertificateList } from "./certificate-list.ts";
import { encodeCertificationRequest, parseCertificationRequest } from "./certification-request.ts";
import { buildChain } from "./chain.ts";
import {
  authorityInfoAccessExtension,
  crlDistributionPointsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
} from "./extensions.ts";
import { nameConstraintsExtension } from "./name-constraints.ts";
import { parseNameText } from "./name-text.ts";
import { OID } from "./object-identifiers.ts";
import { certIdFor, encodeOcspRequest, parseOcspRequest } from "./ocsp-request.ts";
import { encodeOcspResponse, parseOcspResponse } from "./ocsp-response.ts";
import { SIGNATURE } from "./signature.ts";

interface Messages {
  readonly certificates: Buffer[];
  readonly requests: Buffer[];
  readonly lists: Buffer[];
  readonly ocspRequests: Buffer[];
  readonly ocspResponses: Buffer[];
}
let valid: Messages;

beforeAll(async () => {
  valid = await makeMessages();
});

async function makeMessages(): Promise<Messages> {
  const directory = { type: "directory", value: parseNameText("CN=x,O=y+OU=z") } as const;
  const names = [
    { type: "dns", value: "a.example" },
    { type: "ip", value: "2001:db8::1" },
    { type: "upn", value: "a@b" },
    directory,
  ] as const;
  const constraints = nameConstraintsExtension({
    permitted: [{ type: "dns", value: "example" }, directory],
    excluded: [{ type: "ip", value: Buffer.alloc(8) }],
  });
  const authority = await testAuthority({ extensions: [...CA_EXTENSIONS, constraints] });
  const extensions = [
    subjectAltNameExtension(names),
    keyUsageExtension(["digitalSignature"]),
    extendedKeyUsageExtension([OID.clientAuth]),
    crlDistributionPointsExtension(["http://crl.example"]),
    authorityInfoAccessExtension({ ocsp: ["http://o.example"], caIssuers: ["http://c.example"] }),
    sidExtension("S-1-5-21-1"),
  ];
  const leaf = await testCertificate({ extensions }, authority);
  const subject = leaf.certificate.subject;
  const request = { subject, challengePassword: "secret", extensionRequest: extensions };
  const list = encodeTbsCertificateList({
    issuer: authority.certificate.subject,
    authorityKeyIdentifier: Buffer.alloc(20),
    thisUpdate: TEST_NOW,
    nextUpdate: TEST_NOW + 1_000,
    crlNumber: 1,
    revoked: [{ serialNumber: "4001", revokedAt: TEST_NOW, reason: "keyCompromise" }],
    signatureAlgorithm: SIGNATURE.ecdsaWithSHA256,
  });
  const certId = certIdFor(authority.certificate, "4001");
  const single = { certId, thisUpdate: TEST_NOW, nextUpdate: TEST_NOW + 1_000 };
  const { publicKeyInfo, der: certificate } = leaf.certificate;
  const response = await encodeOcspResponse({
    responses: [
      { ...single, certStatus: { status: "good" } },
      { ...single, certStatus: { status: "revoked", revokedAt: 0, reason: "superseded" } },
    ],
    producedAt: TEST_NOW,
    nonce: Buffer.alloc(16),
    responder: { key: leaf.key, publicKeyInfo, certificate },
  });
  return {
    certificates: [authority.certificate.der, certificate],
    requests: [await encodeCertificationRequest(request, leaf.key)],
    lists: [assembleSigned(list, SIGNATURE.ecdsaWithSHA256, Buffer.alloc(70))],
    ocspRequests: [encodeOcspRequest({ certIds: [certId, certId], nonce: Buffer.alloc(16) })],
    ocspResponses: [response],
  };
}

describe("hostile bytes are read or refused with a code", () => {
  test.each<[keyof Messages, (bytes: Buffer) => unknown, number]>([
    ["certificates", useCertificate, 4_000],
    ["requests", (bytes) => parseCertificationRequest(bytes).verifySignature(), 4_000],
    ["lists", parseCertificateList, 4_000],
    ["ocspRequests", parseOcspRequest, 4_000],
    ["ocspResponses", parseOcspResponse, 4_000],
  ])("%s", (kind, parse, runs) => {
    const property = fc.property(hostileBytes(valid[kind]), (bytes) =>
      returnsOrRefuses(() => parse(bytes)),
    );
    fc.assert(property, { numRuns: fuzzRuns(runs) });
  });
});

/** All that is made later than parsing: key, thumbprint, place in a chain. */
function useCertificate(bytes: Buffer): void {
  const certificate = parseCertificate(bytes);
  const [authority, leaf] = valid.certificates.map(parseCertificate);
  if (authority === undefined || leaf === undefined) throw new Error("there is no valid message");
  expect(certificate.thumbprint).toHaveLength(64);
  returnsOrRefuses(() => certificate.publicKey());
  returnsOrRefuses(() => buildChain(certificate, [], [authority], TEST_NOW));
  returnsOrRefuses(() => buildChain(leaf, [certificate], [], TEST_NOW));
}

test("a changed certificate is never accepted under the authority that signed the good one", () => {
  const [authority, leaf] = valid.certificates.map(parseCertificate);
  if (authority === undefined || leaf === undefined) throw new Error("there is no valid message");
  const property = fc.property(hostileBytes([leaf.der]), (bytes) => {
    returnsOrRefuses(() => {
      const certificate = parseCertificate(bytes);
      buildChain(certificate, [], [authority], TEST_NOW);
      // Only the bytes that were signed get here; what is around them may have been changed back and forth.
      expect(certificate.tbs).toEqual(leaf.tbs);
    });
  });
  fc.assert(property, { numRuns: fuzzRuns(4_000) });
});
