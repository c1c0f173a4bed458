import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import {
  beginScepTransaction,
  readCaCertificates,
  readScepAnswer,
  type ScepAnswer,
  type ScepServerDescription,
  type ScepTransaction,
  selectRecipient,
} from "@isthmus/cert-connector/protocol/scep-client";
import { ConnectorError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { encodeCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { isSameName } from "@isthmus/shared/x509/name";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { derToPem } from "@isthmus/shared/x509/pem";

const TIMEOUT_MS = 15_000;
const RSA_BITS = 2048;
const SERIAL_BYTES = 16;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** A device's certificate with its key and the authorities above it. */
export interface DeviceIdentity {
  readonly certificate: Certificate;
  readonly authorities: readonly Certificate[];
  readonly privateKey: KeyObject;
}

/** A SCEP front door as a device knows it after GetCACert. */
export interface ScepServer extends ScepServerDescription {
  readonly url: string;
  readonly authorities: readonly Certificate[];
}

const generate = promisify(generateKeyPair);

/** A new RSA key of 2048 bits, as SCEP needs it for the answer. */
export async function newDeviceKey(): Promise<KeyObject> {
  return (await generate("rsa", { modulusLength: RSA_BITS })).privateKey;
}

/** Asks a SCEP front door for its certificates. */
export async function findScepServer(url: string): Promise<ScepServer> {
  const answer = await exchange(`${url}?operation=GetCACert`);
  const certificates = readCaCertificates(answer.contentType, answer.body);
  return {
    url,
    recipient: selectRecipient(certificates),
    authorities: certificates.filter(({ basicConstraints }) => basicConstraints?.isCa === true),
  };
}

/** What a device wants to be called, and the one-time permission for it. */
export interface Enrolment {
  /** RFC 4514. */
  readonly subject: string;
  readonly challenge: string;
  readonly privateKey: KeyObject;
}

/** Makes the request of a first enrolment (PKCSReq). It may be sent again and again: it stays the same transaction. */
export async function prepareEnrolment(
  server: ScepServer,
  { subject, challenge, privateKey }: Enrolment,
): Promise<ScepTransaction> {
  const certificationRequest = await encodeCertificationRequest(
    { subject: parseNameText(subject), challengePassword: challenge },
    privateKey,
  );
  const certificate = await selfSigned(subject, privateKey);
  return beginScepTransaction(
    { messageType: "PKCSReq", certificationRequest },
    { certificate, privateKey },
    server,
    systemRandom,
  );
}

/** Sends a prepared request once. */
export async function sendRequest(
  server: ScepServer,
  transaction: ScepTransaction,
): Promise<ScepAnswer> {
  const { body } = await exchange(`${server.url}?operation=PKIOperation`, transaction.message);
  return readScepAnswer(body, transaction);
}

/** Enrols: throws `scep-refused` where the connector does not answer with a certificate. */
export async function enrol(server: ScepServer, enrolment: Enrolment): Promise<DeviceIdentity> {
  const transaction = await prepareEnrolment(server, enrolment);
  return identityOf(await sendRequest(server, transaction), server, enrolment.privateKey);
}

/** Renews with a new key; the old certificate is the proof (RenewalReq). */
export async function renew(server: ScepServer, old: DeviceIdentity): Promise<DeviceIdentity> {
  const privateKey = await newDeviceKey();
  const certificationRequest = await encodeCertificationRequest(
    { subject: old.certificate.subject },
    privateKey,
  );
  const transaction = await beginScepTransaction(
    { messageType: "RenewalReq", certificationRequest },
    { certificate: old.certificate, privateKey: old.privateKey },
    server,
    systemRandom,
  );
  return identityOf(await sendRequest(server, transaction), server, privateKey);
}

/** The identity in a successful answer. Throws `scep-refused` for any other. */
export function identityOf(
  answer: ScepAnswer,
  server: ScepServer,
  privateKey: KeyObject,
): DeviceIdentity {
  if (answer.status !== "SUCCESS") {
    const why =
      answer.status === "FAILURE" ? `${answer.failInfo} ${answer.failInfoText ?? ""}` : "";
    throw new ConnectorError("scep-refused", `SCEP answered ${answer.status} ${why}`.trim());
  }
  const mine = publicKeyInfoOf(privateKey);
  const certificate = answer.certificates.find(({ publicKeyInfo }) => publicKeyInfo.equals(mine));
  if (certificate === undefined) {
    throw new ConnectorError("scep-refused", "SCEP answered with a certificate for another key");
  }
  return { certificate, authorities: server.authorities, privateKey };
}

/** An identity as two PEM texts: the certificate with the authorities below the root, and the key (PKCS#8). */
export function identityToPem(identity: DeviceIdentity): {
  readonly certificate: string;
  readonly key: string;
} {
  const chain = [
    identity.certificate,
    ...identity.authorities.filter(({ subject, issuer }) => !isSameName(subject, issuer)),
  ];
  return {
    certificate: chain.map(({ der }) => derToPem(der, "CERTIFICATE")).join(""),
    key: identity.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** RFC 8894 section 2.3: the first request is signed by a throw-away certificate of the device's own. */
async function selfSigned(subject: string, privateKey: KeyObject): Promise<Certificate> {
  const now = Date.now();
  const der = await issueCertificate({
    subject: parseNameText(subject),
    issuer: { selfSignedWith: privateKey },
    publicKeyInfo: publicKeyInfoOf(privateKey),
    validity: { notBefore: now - HOUR_MS, notAfter: now + DAY_MS },
    serialNumber: serialNumberFrom(systemRandom.bytes(SERIAL_BYTES)),
    extensions: [],
  });
  return parseCertificate(der);
}

async function exchange(
  url: string,
  message?: Uint8Array<ArrayBufferLike>,
): Promise<{ readonly contentType: string; readonly body: Buffer }> {
  const answer = await fetch(url, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(message && {
      method: "POST",
      body: new Uint8Array(message),
      headers: { "content-type": "application/x-pki-message" },
    }),
  });
  const body = Buffer.from(await answer.arrayBuffer());
  if (answer.ok) return { contentType: answer.headers.get("content-type") ?? "", body };
  const isRetryable = answer.status === 503;
  throw new ConnectorError(
    isRetryable ? "scep-busy" : "scep-refused",
    `${url} answered ${answer.status}: ${body.toString("utf8").slice(0, 200)}`,
    { isRetryable },
  );
}
