import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { signJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  type CertificationRequestContent,
  encodeCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { issueCertificate, publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import {
  beginScepTransaction,
  readCaCertificates,
  readScepAnswer,
  type ScepAnswer,
  type ScepServerDescription,
  type ScepTransaction,
  type ScepWish,
  selectRecipient,
} from "../protocol/scep-client.ts";
import type { ScepSigner } from "../protocol/scep-writer.ts";

/** A device and what it needs, for tests of the whole service over HTTP. */

const YEAR_MS = 365 * 86_400_000;

/** A challenge as the control plane signs it; `changes` replace fields. */
export function makeChallenge(
  key: KeyObject,
  now: number,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const payload = {
    jti: systemRandom.bytes(8).toString("hex"),
    aud: "any",
    profileId: "device",
    deviceId: "device-1",
    userPrincipalName: "ada@example.com",
    subject: "CN=device-1,O=Example",
    subjectAltNames: [],
    iat: now,
    exp: now + 3_600_000,
    ...changes,
  };
  return signJws(payload, JWS_TYPES.challenge, key);
}

export interface DeviceRequest {
  readonly key: KeyObject;
  readonly certificationRequest: Buffer;
  readonly signer: ScepSigner;
}

/** One RSA key for all tests that do not care: making one takes 100 ms. */
let sharedKey: KeyObject | undefined;
export function deviceKey(): KeyObject {
  sharedKey ??= generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  return sharedKey;
}

/** A certification request and the self-signed certificate that a device signs its first message with. */
export async function makeRequest(
  content: Partial<CertificationRequestContent>,
  now: number,
  key: KeyObject = deviceKey(),
): Promise<DeviceRequest> {
  const subject = content.subject ?? parseNameText("CN=whatever-the-device-says");
  const certificationRequest = await encodeCertificationRequest({ ...content, subject }, key);
  const selfSigned = await issueCertificate({
    subject,
    issuer: { selfSignedWith: key },
    publicKeyInfo: publicKeyInfoOf(key),
    validity: { notBefore: now - 60_000, notAfter: now + YEAR_MS },
    serialNumber: "01",
    extensions: [],
  });
  const certificate = parseCertificate(selfSigned);
  return { key, certificationRequest, signer: { certificate, privateKey: key } };
}

/** What a device does over HTTP at one SCEP address. */
export class ScepDevice {
  readonly #url: string;
  #server: ScepServerDescription | undefined;

  /** `server` spares asking for the certificates again where another device has. */
  constructor(url: string, server?: ScepServerDescription) {
    this.#url = url;
    this.#server = server;
  }

  async server(): Promise<ScepServerDescription> {
    this.#server ??= { recipient: selectRecipient(await this.caCertificates()) };
    return this.#server;
  }

  async caCertificates(): Promise<Certificate[]> {
    const response = await fetch(`${this.#url}?operation=GetCACert`);
    const body = Buffer.from(await response.arrayBuffer());
    return readCaCertificates(response.headers.get("content-type") ?? "", body);
  }

  async begin(wish: ScepWish, signer: ScepSigner): Promise<ScepTransaction> {
    return await beginScepTransaction(wish, signer, await this.server(), systemRandom);
  }

  async send(transaction: ScepTransaction): Promise<ScepAnswer> {
    const response = await fetch(`${this.#url}?operation=PKIOperation`, {
      method: "POST",
      headers: { "content-type": "application/x-pki-message" },
      body: new Uint8Array(transaction.message),
    });
    const body = Buffer.from(await response.arrayBuffer());
    if (response.status !== 200) throw new Error(`HTTP ${response.status}: ${body}`);
    return readScepAnswer(body, transaction);
  }

  /** PKCSReq with this request. */
  async enrol({ certificationRequest, signer }: DeviceRequest): Promise<ScepAnswer> {
    return await this.send(
      await this.begin({ messageType: "PKCSReq", certificationRequest }, signer),
    );
  }

  /** RenewalReq with this request, signed with the certificate to renew. */
  async renew({ certificationRequest }: DeviceRequest, signer: ScepSigner): Promise<ScepAnswer> {
    return await this.send(
      await this.begin({ messageType: "RenewalReq", certificationRequest }, signer),
    );
  }
}

/** The certificate of a successful answer. */
export function issued(answer: ScepAnswer): Certificate {
  if (answer.status !== "SUCCESS") throw new Error(`not issued: ${JSON.stringify(answer)}`);
  const [certificate] = answer.certificates;
  if (certificate === undefined) throw new Error("no certificate in the answer");
  return certificate;
}
