import { hash, type KeyObject } from "node:crypto";
import { openEnvelope } from "@isthmus/cert-connector/protocol/envelope-opening";
import {
  encodeEnvelopedData,
  parseEnvelopedData,
  sealedFor,
} from "@isthmus/cert-connector/protocol/enveloped-data";
import { parsePkiMessage, verifyPkiMessage } from "@isthmus/cert-connector/protocol/scep-message";
import { encodeSignedData, parseSignedData } from "@isthmus/cert-connector/protocol/signed-data";
import {
  findSignerCertificate,
  verifySigner,
} from "@isthmus/cert-connector/protocol/signer-verification";
import { ProtocolError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import {
  TEST_NOW,
  type TestIdentity,
  testAuthority,
  testCertificate,
  testKey,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import {
  assembleSigned,
  type Certificate,
  encodeSerialNumber,
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
import {
  element,
  explicit,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
} from "@isthmus/shared/x509/der-writer";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { isSameName } from "@isthmus/shared/x509/name";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { SIGNATURE, sign, verify } from "@isthmus/shared/x509/signature";
import * as oracle from "./pkijs-adapter.ts";

/** The kinds of message that both codecs are shown, each with who made it. */

let authority: TestIdentity;
let device: TestIdentity;

/** Makes the keys of all kinds; call it before anything else. */
export async function prepareKinds(): Promise<{ readonly authority: TestIdentity }> {
  authority = await testAuthority({ subject: "CN=CA" });
  const extensions = [subjectAltNameExtension([{ type: "dns", value: "a.example" }])];
  device = await testCertificate(
    { subject: "CN=device", extensions, key: testRsaKey() },
    authority,
  );
  return { authority };
}

/**
 * One kind of message: a good one, our verdict ("nothing" or a code) and theirs. `resigned` makes a message whose
 * signature is right again after its signed part was changed, so that only reading it can refuse it.
 */
export interface Kind {
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

export const KINDS: Readonly<Record<string, Kind>> = {
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
  envelope: {
    make: async () =>
      encodeEnvelopedData(
        {
          content: ENVELOPE_CONTENT,
          recipient: device.certificate,
          cipher: "aes-256-cbc",
          keyEncryption: { scheme: "oaep", digest: "sha256" },
        },
        systemRandom,
      ),
    ours: (der) =>
      thrownCode(() => {
        const found = sealedFor(parseEnvelopedData(der), [device.certificate]);
        if (found === undefined) throw new ProtocolError("recipient", "it is for somebody else");
        const { plaintext, isIntact } = openEnvelope(found.sealed, device.key);
        if (isIntact && ENVELOPE_CONTENT.equals(plaintext)) return;
        throw new ProtocolError("content", "it cannot be decrypted, or holds something else");
      }),
    theirs: async (der) =>
      await oracle.judged(async () =>
        ENVELOPE_CONTENT.equals(
          await oracle.openWithPkijs(der, device.certificate.der, device.key),
        ),
      ),
  },
  pkiMessage: {
    make: async () => await scepMessage(scepAttributes()),
    signedPart: (good) => parseSignedData(good).signers[0]?.signedAttributes ?? good,
    resigned: (attributes) => scepMessage(attributes),
    ours: (der) => thrownCode(() => verifyPkiMessage(parsePkiMessage(der))),
    theirs: oracle.judgeSignedData,
  },
};

const ENVELOPE_CONTENT = Buffer.from("a certification request, say");

/** Signed attributes of a PKCSReq. */
function scepAttributes(): Buffer {
  const attribute = (type: string, value: Uint8Array) =>
    sequence(objectIdentifier(type), setOf(value));
  return setOf(
    attribute(OID.contentType, objectIdentifier(OID.data)),
    attribute(OID.messageDigest, octetString(hash("sha256", ENVELOPE_CONTENT, "buffer"))),
    attribute(OID.scepMessageType, printableString("19")),
    attribute(OID.scepTransactionId, printableString("0123456789ABCDEF")),
    attribute(OID.scepSenderNonce, octetString(Buffer.alloc(16, 7))),
  );
}

/** A SCEP message with these signed attributes, whatever they are, and a right signature of them. */
async function scepMessage(attributes: Buffer): Promise<Buffer> {
  const signature = await sign(SIGNATURE.sha256WithRSA, attributes, device.key);
  const tagged = Buffer.from(attributes);
  if (tagged[0] === 0x31) tagged[0] = 0xa0;
  const digestAlgorithm = sequence(objectIdentifier(OID.sha256), nullValue());
  const { issuer, serialNumber, der } = device.certificate;
  const signerInfo = sequence(
    integer(1),
    sequence(issuer.der, encodeSerialNumber(serialNumber)),
    digestAlgorithm,
    tagged,
    sequence(objectIdentifier(OID.rsaEncryption), nullValue()),
    octetString(signature),
  );
  const content = sequence(objectIdentifier(OID.data), explicit(0, octetString(ENVELOPE_CONTENT)));
  const certificates = element(0xa0, der);
  const body = sequence(
    integer(1),
    setOf(digestAlgorithm),
    content,
    certificates,
    setOf(signerInfo),
  );
  return sequence(objectIdentifier(OID.signedData), explicit(0, body));
}

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
