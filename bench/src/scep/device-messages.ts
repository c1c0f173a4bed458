import { generateKeyPairSync, type KeyObject, randomBytes, randomInt } from "node:crypto";
import {
  beginScepTransaction,
  readCaCertificates,
  type ScepServerDescription,
  type ScepTransaction,
  selectRecipient,
} from "@isthmus/cert-connector/protocol/scep-client";
import { systemRandom } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { encodeCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { keyUsageExtension } from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { type DistinguishedName, encodeName } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";

const HOUR_MS = 3_600_000;
/** Devices share this many RSA keys: making one costs as much as a hundred enrolments and is not what is measured. */
const DEVICE_KEYS = 32;

/** A device about to enrol: its name and the challenge it was given. */
export interface Enrollee {
  readonly commonName: string;
  readonly challenge: string;
}

/** Asks a SCEP server which certificate requests are encrypted to. */
export async function fetchRecipient(url: URL): Promise<Certificate> {
  const response = await fetch(new URL(`${url.href}?operation=GetCACert`));
  if (!response.ok) throw new Error(`GetCACert of ${url.href}: HTTP ${response.status}`);
  const type = response.headers.get("content-type") ?? "";
  return selectRecipient(readCaCertificates(type, Buffer.from(await response.arrayBuffer())));
}

/** Makes PKCSReq messages, one per device, each signed with a self-signed RSA-2048 certificate of its own. */
export class DeviceMessages {
  readonly #keys: readonly KeyObject[];

  constructor() {
    this.#keys = Array.from(
      { length: DEVICE_KEYS },
      () => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
    );
  }

  async make(
    server: ScepServerDescription,
    enrollees: readonly Enrollee[],
  ): Promise<ScepTransaction[]> {
    const transactions: ScepTransaction[] = [];
    for (const [index, enrollee] of enrollees.entries()) {
      const key = this.#keys[index % DEVICE_KEYS] as KeyObject;
      transactions.push(await this.begin(server, enrollee, key));
    }
    return transactions;
  }

  /** One PKCSReq message, with a key of the set. */
  async begin(
    server: ScepServerDescription,
    { commonName, challenge }: Enrollee,
    privateKey: KeyObject = this.#keys[randomInt(DEVICE_KEYS)] as KeyObject,
  ): Promise<ScepTransaction> {
    const subject = encodeName([[{ type: OID.commonName, value: commonName }]]);
    const certificationRequest = await encodeCertificationRequest(
      { subject, challengePassword: challenge },
      privateKey,
    );
    const certificate = parseCertificate(await selfSigned(subject, privateKey));
    return await beginScepTransaction(
      { messageType: "PKCSReq", certificationRequest },
      { certificate, privateKey },
      server,
      systemRandom,
    );
  }
}

function selfSigned(subject: DistinguishedName, key: KeyObject): Promise<Buffer> {
  const now = Date.now();
  return issueCertificate({
    subject,
    issuer: { selfSignedWith: key },
    publicKeyInfo: publicKeyInfoOf(key),
    validity: { notBefore: now - HOUR_MS, notAfter: now + HOUR_MS },
    serialNumber: serialNumberFrom(randomBytes(16)),
    extensions: [keyUsageExtension(["digitalSignature", "keyEncipherment"])],
  });
}
