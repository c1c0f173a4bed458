import { createPrivateKey, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { keyUsageExtension } from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { pemToDer } from "@isthmus/shared/x509/pem";
import type { ScepSigner } from "../protocol/scep-writer.ts";

const SUBJECT = "CN=Isthmus cert-connector";
const RSA_BITS = 2_048;
const SERIAL_NUMBER_OCTETS = 20;
const DAY_MS = 86_400_000;
/** As long as a process may run; what is pending at its end is asked for anew. */
const VALIDITY_MS = 5 * 365 * DAY_MS;

/** Who signs messages to another SCEP server, from PEM. Throws ConnectorError `scep-signer`. */
export function readScepSigner(certificatePem: string, keyPem: string): ScepSigner {
  try {
    const [der] = pemToDer(certificatePem, "CERTIFICATE");
    const certificate = parseCertificate(der ?? Buffer.alloc(0));
    const privateKey = createPrivateKey(keyPem);
    const isPair = publicKeyInfoOf(privateKey).equals(certificate.publicKeyInfo);
    if (isPair && privateKey.asymmetricKeyType === "rsa") return { certificate, privateKey };
  } catch (cause) {
    throw new ConnectorError("scep-signer", "the SCEP signer's files cannot be read", { cause });
  }
  throw new ConnectorError(
    "scep-signer",
    "the SCEP signer's certificate and key have to belong together, and the key has to be RSA",
  );
}

/** One that is made for this process: a server sees a stranger, whom it has to let in by other means. */
export async function makeScepSigner(clock: Clock, random: Random): Promise<ScepSigner> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: RSA_BITS });
  const now = clock.now();
  const der = await issueCertificate({
    subject: parseNameText(SUBJECT),
    issuer: { selfSignedWith: privateKey },
    publicKeyInfo: publicKeyInfoOf(privateKey),
    validity: { notBefore: now - DAY_MS, notAfter: now + VALIDITY_MS },
    serialNumber: serialNumberFrom(random.bytes(SERIAL_NUMBER_OCTETS)),
    extensions: [keyUsageExtension(["digitalSignature", "keyEncipherment"])],
  });
  return { certificate: parseCertificate(der), privateKey };
}
