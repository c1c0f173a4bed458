import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { systemRandom } from "@isthmus/shared/random";
import {
  basicConstraintsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { derToPem } from "@isthmus/shared/x509/pem";

const AUTHORITY_NAME = parseNameText("CN=Isthmus gateway authority");
const VALIDITY_DAYS = 825;
const DAY_MS = 86_400_000;
/** Clocks of devices may be behind ours. */
const BACKDATE_MS = 3_600_000;
const SERIAL_BYTES = 16;

export interface GatewayCertificate {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * Makes a TLS certificate for a gateway, and an authority for this one purpose whose key is forgotten at once. All PEM;
 * `names` are what clients connect to.
 */
export async function makeGatewayCertificate(
  names: readonly GeneralName[],
  now: number,
): Promise<GatewayCertificate> {
  const authorityKey = newKey();
  const key = newKey();
  const validity = { notBefore: now - BACKDATE_MS, notAfter: now + VALIDITY_DAYS * DAY_MS };
  const authority = await issueCertificate({
    subject: AUTHORITY_NAME,
    issuer: { selfSignedWith: authorityKey },
    publicKeyInfo: publicKeyInfoOf(authorityKey),
    validity,
    serialNumber: serialNumberFrom(systemRandom.bytes(SERIAL_BYTES)),
    extensions: [
      basicConstraintsExtension({ isCa: true, pathLength: 0 }),
      keyUsageExtension(["keyCertSign", "cRLSign"]),
    ],
  });
  const certificate = await issueCertificate({
    subject: parseNameText("CN=Isthmus tunnel gateway"),
    issuer: { name: AUTHORITY_NAME, key: authorityKey },
    publicKeyInfo: publicKeyInfoOf(key),
    validity,
    serialNumber: serialNumberFrom(systemRandom.bytes(SERIAL_BYTES)),
    extensions: [
      basicConstraintsExtension({ isCa: false }),
      keyUsageExtension(["digitalSignature"]),
      extendedKeyUsageExtension([OID.serverAuth]),
      subjectAltNameExtension(names),
    ],
  });
  return {
    authority: derToPem(authority, "CERTIFICATE"),
    certificate: derToPem(certificate, "CERTIFICATE"),
    key: key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}
