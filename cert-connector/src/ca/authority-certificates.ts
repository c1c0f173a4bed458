import type { Random } from "@isthmus/shared/random";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  authorityInfoAccessExtension,
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  type Extension,
  extendedKeyUsageExtension,
  type KeyUsage,
  keyUsageExtension,
} from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { type DistinguishedName, encodeName } from "@isthmus/shared/x509/name";
import { nameConstraintsExtension, type Subtree } from "@isthmus/shared/x509/name-constraints";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import type { SigningKey } from "@isthmus/shared/x509/signing-key";
import type { KeyedCertificate } from "./authority-folder.ts";

/** How long each certificate of the authority lives. */
const YEAR_MS = 365 * 86_400_000;
const ROOT_VALIDITY_MS = 20 * YEAR_MS;
export const ISSUING_VALIDITY_MS = 10 * YEAR_MS;
const BACKDATE_MS = 300_000;
const SERIAL_NUMBER_OCTETS = 20;
/** Below the root: one issuing authority, and no other below that. */
const ROOT_PATH_LENGTH = 1;

interface When {
  readonly now: number;
  readonly random: Random;
}

/** A root of its own; its key usage lets it sign the list of revoked issuing authorities. */
export async function issueRoot(
  of: { readonly subject: DistinguishedName; readonly key: SigningKey } & When,
): Promise<KeyedCertificate> {
  const { subject, key, now, random } = of;
  const der = await issueCertificate({
    subject,
    issuer: { selfSignedWith: key },
    publicKeyInfo: publicKeyInfoOf(key),
    validity: { notBefore: now - BACKDATE_MS, notAfter: now + ROOT_VALIDITY_MS },
    serialNumber: newSerialNumber(random),
    extensions: [
      basicConstraintsExtension({ isCa: true, pathLength: ROOT_PATH_LENGTH }),
      keyUsageExtension(["keyCertSign", "cRLSign"]),
    ],
  });
  return { certificate: parseCertificate(der), key };
}

/** An authority below a root, wherever its key is. */
export interface SubordinateOrder extends When {
  readonly root: KeyedCertificate;
  readonly subject: DistinguishedName;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Uint8Array;
  readonly serialNumber?: string;
  readonly validityMs: number;
  readonly pathLength: number;
  readonly keyUsage: readonly KeyUsage[];
  /** None means any: an extended key usage on an authority restricts every certificate below it. */
  readonly extendedKeyUsage: readonly string[];
  /** Names that it may certify; none means any. */
  readonly permitted: readonly Subtree[];
  /** Where the root's own list and certificate are published, without the last slash. */
  readonly publicUrl?: string | undefined;
}

/** Ends with the root at the latest. */
export function issueSubordinate(order: SubordinateOrder): Promise<Buffer> {
  const { root, subject, publicKeyInfo, now, validityMs, random } = order;
  return issueCertificate({
    subject,
    issuer: { name: root.certificate.subject, key: root.key },
    publicKeyInfo,
    validity: {
      notBefore: Math.max(now - BACKDATE_MS, root.certificate.notBefore),
      notAfter: Math.min(now + validityMs, root.certificate.notAfter),
    },
    serialNumber: order.serialNumber ?? newSerialNumber(random),
    extensions: subordinateExtensions(order),
  });
}

function subordinateExtensions(order: SubordinateOrder): Extension[] {
  const { pathLength, keyUsage, extendedKeyUsage, permitted, publicUrl, root } = order;
  const extensions = [
    basicConstraintsExtension({ isCa: true, pathLength }),
    keyUsageExtension(keyUsage),
  ];
  if (extendedKeyUsage.length > 0) extensions.push(extendedKeyUsageExtension(extendedKeyUsage));
  if (permitted.length > 0) extensions.push(nameConstraintsExtension({ permitted, excluded: [] }));
  if (publicUrl !== undefined) {
    const keyId = keyIdentifierOf(root.certificate.publicKeyInfo).toString("hex");
    extensions.push(crlDistributionPointsExtension([`${publicUrl}/crl/${keyId}.crl`]));
    extensions.push(
      authorityInfoAccessExtension({ ocsp: [], caIssuers: [`${publicUrl}/ca/${keyId}.cer`] }),
    );
  }
  return extensions;
}

/** `CN=<value>`. */
export function commonName(value: string): DistinguishedName {
  return encodeName([[{ type: OID.commonName, value }]]);
}

export function newSerialNumber(random: Random): string {
  return serialNumberFrom(random.bytes(SERIAL_NUMBER_OCTETS));
}
