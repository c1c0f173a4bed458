import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import {
  basicConstraintsExtension,
  keyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { derToPem } from "@isthmus/shared/x509/pem";

const DAY_MS = 86_400_000;

export interface ServerTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A CA and a server certificate for `localhost` and 127.0.0.1. */
export async function makeServerTls(): Promise<ServerTls> {
  const caKey = newKey();
  const caName = parseNameText("CN=Link Test CA");
  const ca = await issue({
    subject: caName,
    issuer: { selfSignedWith: caKey },
    publicKeyInfo: publicKeyInfoOf(caKey),
    extensions: [basicConstraintsExtension({ isCa: true }), keyUsageExtension(["keyCertSign"])],
  });
  const key = newKey();
  const cert = await issue({
    subject: parseNameText("CN=localhost"),
    issuer: { name: caName, key: caKey },
    publicKeyInfo: publicKeyInfoOf(key),
    extensions: [
      subjectAltNameExtension([
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
      ]),
    ],
  });
  const keyPem = key.export({ type: "pkcs8", format: "pem" }).toString();
  return { ca: derToPem(ca, "CERTIFICATE"), cert: derToPem(cert, "CERTIFICATE"), key: keyPem };
}

function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

type Wanted = Parameters<typeof issueCertificate>[0];

function issue(of: Omit<Wanted, "serialNumber" | "validity">): Promise<Buffer> {
  const now = Date.now();
  return issueCertificate({
    ...of,
    serialNumber: serialNumberFrom(randomBytes(16)),
    validity: { notBefore: now - DAY_MS, notAfter: now + DAY_MS },
  });
}
