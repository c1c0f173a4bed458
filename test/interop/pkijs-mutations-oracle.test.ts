import type { KeyObject } from "node:crypto";
import { encodeSignedData, parseSignedData } from "@isthmus/cert-connector/protocol/signed-data";
import {
  findSignerCertificate,
  verifySigner,
} from "@isthmus/cert-connector/protocol/signer-verification";
import { ProtocolError } from "@isthmus/shared/errors";
import {
  TEST_NOW,
  type TestIdentity,
  testAuthority,
  testCertificate,
  testKey,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import {
  assembleSigned,
  type Certificate,
  parseCertificate,
} from "@isthmus/shared/x509/certificate";
import {
  encodeTbsCertificateList,
  parseCertificateList,
} from "@isthmus/shared/x509/certificate-list";
import {
  encodeCertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { DerReader } from "@isthmus/shared/x509/der-reader";
import { printableString } from "@isthmus/shared/x509/der-writer";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { isSameName } from "@isthmus/shared/x509/name";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { SIGNATURE, sign, verify } from "@isthmus/shared/x509/signature";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import * as oracle from "./pkijs-adapter.ts";

/**
 * The same changed messages for both codecs. Where pkijs accepts and we refuse, the code of our refusal is in this list
 * with the reason: pkijs reads BER, and passes over much that it does not use.
 */
const STRICTER_THAN_PKIJS: Readonly<Record<string, string>> = {
  "der-bit-string": "unused bits of a BIT STRING are not checked",
  "der-enumerated": "a reason code may have any form",
  "der-integer": "INTEGERs may be padded, versions may be any",
  "der-length": "lengths may be other than in their shortest form",
  "der-oid": "arcs may be other than in their shortest form",
  "der-string": "strings may hold octets that their type forbids",
  "der-tag": "parameters, signature values and names may have any tag",
  "der-time": "times need not be dates",
  "der-trailing": "what follows the last element is not looked at",
  "der-truncated": "parts that are not used need not be whole",
  "x509-certificate": "the two algorithms of a certificate may differ",
  "x509-certificate-list": "the two algorithms of a list may differ",
  "x509-certification-request": "an attribute may come twice",
  "x509-extension": "reason codes need not exist",
  "x509-general-name": "names may hold control characters",
  "x509-public-key": "an RSA key may be of no use",
  "x509-serial-number": "serial numbers may be negative",
  "cms-signed-data": "content types need not be known",
  "cms-signature": "the attribute contentType is not compared",
  signature: "an ECDSA signature need not be DER",
};

/**
 * Where we accept what pkijs refuses, it is in what neither uses: values in names that are of no type of string, and values
 * of attributes and parameters of algorithms that are not known, are kept as they are and not looked into. At most this
 * share of the messages may be such.
 */
const LAXER_THAN_PKIJS_SHARE = 0.002;

const SEED = 8894;
const MESSAGES = 1_500;

let authority: TestIdentity;
let device: TestIdentity;
beforeAll(async () => {
  authority = await testAuthority({ subject: "CN=CA" });
  const extensions = [subjectAltNameExtension([{ type: "dns", value: "a.example" }])];
  device = await testCertificate(
    { subject: "CN=device", extensions, key: testRsaKey() },
    authority,
  );
});

/**
 * One kind of message: a good one, our verdict ("nothing" or a code) and theirs. `resigned` makes a message whose
 * signature is right again after its signed part was changed, so that only reading it can refuse it.
 */
interface Kind {
  make(): Promise<Buffer>;
  signedPart?(good: Buffer): Buffer;
  resigned?(part: Buffer): Promise<Buffer>;
  ours(der: Buffer): string;
  theirs(der: Buffer): Promise<oracle.Verdict>;
}

function refuse(): never {
  throw new ProtocolError("signature", "the signature is wrong, or the issuer is another");
}

const algorithm = SIGNATURE.ecdsaWithSHA256;
const assembled = async (tbs: Buffer, key: KeyObject) =>
  assembleSigned(tbs, algorithm, await sign(algorithm, tbs, key));

const KINDS: Readonly<Record<string, Kind>> = {
  certificate: {
    make: async () => device.certificate.der,
    signedPart: (good) => parseCertificate(good).tbs,
    resigned: (tbs) => assembled(tbs, authority.key),
    ours: (der) =>
      thrownCode(() => {
        const certificate = parseCertificate(der);
        return isByAuthority(certificate) || refuse();
      }),
    theirs: (der) => oracle.judgeCertificate(der, authority.certificate.der),
  },
  request: {
    make: () => encodeCertificationRequest(requestContent, requestKey),
    signedPart: (good) => new DerReader(good).enter().readRaw(),
    resigned: (info) => assembled(info, requestKey),
    ours: (der) => thrownCode(() => parseCertificationRequest(der).verifySignature() || refuse()),
    theirs: oracle.judgeRequest,
  },
  list: {
    make: () => assembled(encodeTbsCertificateList(listContent()), authority.key),
    signedPart: (good) => parseCertificateList(good).tbs,
    resigned: (tbs) => assembled(tbs, authority.key),
    ours: (der) =>
      thrownCode(() => {
        const list = parseCertificateList(der);
        return (
          (isSameName(list.issuer, authority.certificate.subject) && isByAuthority(list)) ||
          refuse()
        );
      }),
    theirs: (der) => oracle.judgeList(der, authority.certificate.der),
  },
  signedData: {
    make: () =>
      encodeSignedData({
        content: Buffer.from("content"),
        certificates: [device.certificate.der],
        signer: { certificate: device.certificate, privateKey: device.key },
        digest: "sha256",
        attributes: [[OID.scepTransactionId, printableString("tx")]],
      }),
    ours: (der) =>
      thrownCode(() => {
        const data = parseSignedData(der);
        const [info] = data.signers;
        if (info === undefined) return refuse();
        return verifySigner(data, info, findSignerCertificate(data, info).publicKey());
      }),
    theirs: oracle.judgeSignedData,
  },
};

type Signed = Pick<Certificate, "signatureAlgorithm" | "tbs" | "signature">;

function isByAuthority({ signatureAlgorithm, tbs, signature }: Signed): boolean {
  return verify(signatureAlgorithm, tbs, signature, authority.certificate.publicKey());
}

const requestKey = testKey();
const requestContent = {
  subject: parseNameText("CN=device,O=Isthmus"),
  challengePassword: "secret",
  extensionRequest: [subjectAltNameExtension([{ type: "dns", value: "a.example" }])],
};
const listContent = () => ({
  issuer: authority.certificate.subject,
  authorityKeyIdentifier: authority.certificate.subjectKeyIdentifier ?? Buffer.alloc(0),
  thisUpdate: TEST_NOW,
  nextUpdate: TEST_NOW + 1_000,
  crlNumber: 1,
  revoked: [{ serialNumber: "4001", revokedAt: TEST_NOW, reason: "keyCompromise" as const }],
  signatureAlgorithm: algorithm,
});

describe.each(Object.entries(KINDS))("a changed %s", (_, kind) => {
  test("is judged alike, or we are stricter in a way that is listed", async () => {
    const good = await kind.make();
    expect([kind.ours(good), await kind.theirs(good)]).toEqual(["nothing", "accepted"]);
    const messages = await changed(kind, good);
    let accepted = 0;
    const differences = new Map<string, number>();
    for (const message of messages) {
      const [ours, theirs] = [kind.ours(message), await kind.theirs(message)];
      if (ours === "nothing") accepted += 1;
      const isAgreed = (ours === "nothing") === (theirs === "accepted");
      if (!isAgreed) differences.set(ours, (differences.get(ours) ?? 0) + 1);
    }
    const laxer = differences.get("nothing") ?? 0;
    expect(laxer).toBeLessThanOrEqual(messages.length * LAXER_THAN_PKIJS_SHARE);
    differences.delete("nothing");
    const unlisted = [...differences].filter(([ours]) => !(ours in STRICTER_THAN_PKIJS));
    expect(unlisted).toEqual([]);
    // Messages that only one of the two accepts are few: mostly both refuse, and enough is accepted by both.
    expect(accepted).toBeGreaterThan(messages.length / 200);
  });
});

/** Changes anywhere, and changes to what is signed with a right signature. */
async function changed({ signedPart, resigned }: Kind, good: Buffer): Promise<Buffer[]> {
  const sampled = (bytes: Buffer) =>
    fc.sample(hostileBytes([bytes]), { numRuns: fuzzRuns(MESSAGES), seed: SEED });
  if (signedPart === undefined || resigned === undefined) return sampled(good);
  return [...sampled(good), ...(await Promise.all(sampled(signedPart(good)).map(resigned)))];
}
