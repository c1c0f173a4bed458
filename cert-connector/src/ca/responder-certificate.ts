import { generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import type { Random } from "@isthmus/shared/random";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  basicConstraintsExtension,
  type Extension,
  extendedKeyUsageExtension,
  keyUsageExtension,
} from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { encodeName } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { KeyedCertificate } from "./authority-folder.ts";

/** Nobody can revoke a responder (ocsp-nocheck), so its certificate is short and is renewed at half its life. */
const VALIDITY_MS = 7 * 86_400_000;
const RENEW_BEFORE_END_MS = VALIDITY_MS / 2;
const BACKDATE_MS = 300_000;
const SERIAL_NUMBER_OCTETS = 20;

/** RFC 6960 section 4.2.2.2.1: clients need not ask for the status of the responder itself. */
const NO_CHECK: Extension = {
  oid: OID.ocspNoCheck,
  critical: false,
  value: Buffer.from([0x05, 0x00]),
};

const generate = promisify(generateKeyPair);

/**
 * A key for the OCSP responder and its certificate. Made at each start and kept in memory alone, so that there is nothing
 * on disk to steal. P-256: an answer costs a tenth of what RSA would.
 */
export async function issueResponder(
  issuing: KeyedCertificate,
  now: number,
  random: Random,
): Promise<KeyedCertificate> {
  const { privateKey: key } = await generate("ec", { namedCurve: "P-256" });
  const der = await issueCertificate({
    subject: encodeName([[{ type: OID.commonName, value: "OCSP responder" }]]),
    issuer: { name: issuing.certificate.subject, key: issuing.key },
    publicKeyInfo: publicKeyInfoOf(key),
    validity: { notBefore: now - BACKDATE_MS, notAfter: now + VALIDITY_MS },
    serialNumber: serialNumberFrom(random.bytes(SERIAL_NUMBER_OCTETS)),
    extensions: [
      basicConstraintsExtension({ isCa: false }),
      keyUsageExtension(["digitalSignature"]),
      extendedKeyUsageExtension([OID.ocspSigning]),
      NO_CHECK,
    ],
  });
  return { certificate: parseCertificate(der), key };
}

export function isResponderDue({ certificate }: KeyedCertificate, now: number): boolean {
  return now > certificate.notAfter - RENEW_BEFORE_END_MS;
}
