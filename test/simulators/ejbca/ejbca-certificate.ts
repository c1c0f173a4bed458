import { randomBytes } from "node:crypto";
import type { TestIdentity } from "@isthmus/shared/testing/certificate-authority";
import {
  type CertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import {
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { issueCertificate, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { type DistinguishedName, encodeName } from "@isthmus/shared/x509/name";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { pemToDer } from "@isthmus/shared/x509/pem";

/** What EJBCA puts into its answer under `error_message`. */
export class EjbcaRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface EjbcaCertificateProfile {
  /** "LDAP DN order", on by default: the most specific attribute first in the encoding, too. */
  readonly hasLdapDnOrder?: boolean;
  readonly validityDays?: number;
}

/** Signs for an end entity: its names, whatever the request says. */
export async function signForEndEntity(
  request: CertificationRequest,
  names: { readonly subject: DistinguishedName; readonly altNames: readonly GeneralName[] },
  issuer: TestIdentity,
  { hasLdapDnOrder = true, validityDays = 20 }: EjbcaCertificateProfile,
): Promise<Buffer> {
  const { subject, altNames } = names;
  return await issueCertificate({
    subject: hasLdapDnOrder ? encodeName(subject.attributes.toReversed()) : subject,
    issuer: { name: issuer.certificate.subject, key: issuer.key },
    publicKeyInfo: request.publicKeyInfo,
    validity: { notBefore: Date.now() - 600_000, notAfter: Date.now() + validityDays * 86_400_000 },
    serialNumber: serialNumberFrom(randomBytes(20)),
    extensions: [
      keyUsageExtension(["digitalSignature", "keyEncipherment"]),
      extendedKeyUsageExtension([OID.clientAuth]),
      ...(altNames.length === 0 ? [] : [subjectAltNameExtension(altNames)]),
    ],
  });
}

/** A request in PEM whose signature is right. Throws EjbcaRefusal. */
export function readRequest(pem: string): CertificationRequest {
  try {
    const [der] = pemToDer(pem, "CERTIFICATE REQUEST");
    const request = parseCertificationRequest(der ?? Buffer.alloc(0));
    if (request.verifySignature()) return request;
  } catch {
    // Said below.
  }
  throw new EjbcaRefusal(400, "certificate request could not be parsed or verified");
}

/** EJBCA's text of a subject, most specific first. Throws EjbcaRefusal. */
export function readSubject(text: string): DistinguishedName {
  try {
    // `E` and `SN` are EJBCA's own words for the mail address and the serial number.
    return parseNameText(text.replace(/(^|,)SN=/g, "$1serialNumber="));
  } catch {
    throw new EjbcaRefusal(400, `the subject ${text} cannot be read`);
  }
}

const FORMS: Readonly<Record<string, "dns" | "email" | "ip" | "uri" | "upn">> = {
  dNSName: "dns",
  rfc822Name: "email",
  iPAddress: "ip",
  uniformResourceId: "uri",
  upn: "upn",
};

/** EJBCA's text of alternative names: `dNSName=a,uniformResourceId=b`, `\` before a special character. */
export function readAltNames(text: string): GeneralName[] {
  if (text === "") return [];
  return (text.match(/(\\.|[^,\\])+/g) ?? []).map((part) => {
    const equals = part.indexOf("=");
    const type = FORMS[part.slice(0, equals)];
    if (type === undefined) throw new EjbcaRefusal(400, `the alternative name ${part} is unknown`);
    return { type, value: part.slice(equals + 1).replaceAll(/\\(.)/g, "$1") };
  });
}
