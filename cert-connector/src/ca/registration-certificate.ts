import type { Random } from "@isthmus/shared/random";
import {
  basicConstraintsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
} from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import type { DistinguishedName } from "@isthmus/shared/x509/name";
import type { SigningKey } from "@isthmus/shared/x509/signing-key";
import type { KeyedCertificate } from "./authority-folder.ts";

const VALIDITY_MS = 3 * 365 * 86_400_000;
const BACKDATE_MS = 300_000;
const SERIAL_NUMBER_OCTETS = 20;

/** Windows takes an RA certificate only with an extended key usage: Microsoft's request agent, and RFC 6402's cmcRA. */
const PURPOSES = ["1.3.6.1.4.1.311.20.2.1", "1.3.6.1.5.5.7.3.28"];

export interface RegistrationCertificateOrder {
  readonly subject: DistinguishedName;
  readonly key: SigningKey;
  readonly issuing: KeyedCertificate;
  readonly now: number;
  readonly random: Random;
}

/**
 * The certificate of an RA key. Both key usages in one certificate: Apple looks for them by their bits, and takes no
 * certificate for the RA that has neither. It ends with its issuer at the latest.
 */
export function issueRegistrationCertificate(order: RegistrationCertificateOrder): Promise<Buffer> {
  const { subject, key, issuing, now, random } = order;
  return issueCertificate({
    subject,
    issuer: { name: issuing.certificate.subject, key: issuing.key },
    publicKeyInfo: publicKeyInfoOf(key),
    validity: {
      notBefore: Math.max(now - BACKDATE_MS, issuing.certificate.notBefore),
      notAfter: Math.min(now + VALIDITY_MS, issuing.certificate.notAfter),
    },
    serialNumber: serialNumberFrom(random.bytes(SERIAL_NUMBER_OCTETS)),
    extensions: [
      basicConstraintsExtension({ isCa: false }),
      keyUsageExtension(["digitalSignature", "keyEncipherment"]),
      extendedKeyUsageExtension(PURPOSES),
    ],
  });
}
