import type { DerReader } from "./der-reader.ts";
import {
  type AuthorityInfoAccess,
  type BasicConstraints,
  type Extension,
  type KeyUsage,
  parseAuthorityInfoAccess,
  parseAuthorityKeyIdentifier,
  parseBasicConstraints,
  parseCrlDistributionPoints,
  parseExtendedKeyUsage,
  parseKeyUsage,
  parseSid,
  parseSubjectAltName,
  parseSubjectKeyIdentifier,
  readExtensions,
} from "./extensions.ts";
import type { GeneralName } from "./general-name.ts";
import { type NameConstraints, parseNameConstraints } from "./name-constraints.ts";
import { OID } from "./object-identifiers.ts";

/** The extensions of a certificate: all as they came, and those we know with their meaning. */
export interface CertificateExtensions {
  readonly extensions: readonly Extension[];
  /** Absent: no restriction on what the key is used for. */
  readonly keyUsage: readonly KeyUsage[] | undefined;
  /** Dotted identifiers. Absent: no restriction. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly basicConstraints: BasicConstraints | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  /** Empty where the extension is absent. */
  readonly subjectAltNames: readonly GeneralName[];
  readonly subjectKeyIdentifier: Buffer | undefined;
  readonly authorityKeyIdentifier: Buffer | undefined;
  /** URLs. */
  readonly crlDistributionPoints: readonly string[];
  readonly authorityInfoAccess: AuthorityInfoAccess;
  /** The account's security identifier from Microsoft's extension (not from a name). */
  readonly sid: string | undefined;
  /** Critical extensions whose meaning we do not know: a chain with one of them is refused. */
  readonly unknownCritical: readonly string[];
}

const NO_ACCESS: AuthorityInfoAccess = { ocsp: [], caIssuers: [] };

/** Those whose meaning is applied in this folder or, like policies without constraints, restricts nothing. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.basicConstraints,
  OID.nameConstraints,
  OID.subjectAltName,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.crlDistributionPoints,
  OID.authorityInfoAccess,
  OID.certificatePolicies,
  OID.ntdsCaSecurity,
  OID.ocspNoCheck,
]);

/** Reads the extensions inside `[3]`, every known one at once, so that a certificate is read whole or not at all. */
export function readCertificateExtensions(within: DerReader | undefined): CertificateExtensions {
  const extensions = within === undefined ? [] : readExtensions(within);
  within?.end();
  return describeExtensions(extensions);
}

/** The meaning of extensions, as a certificate or a request carries them. Throws `der-*` or `x509-*`. */
export function describeExtensions(extensions: readonly Extension[]): CertificateExtensions {
  const parsed = <T>(oid: string, parse: (value: Buffer) => T): T | undefined => {
    const extension = extensions.find((candidate) => candidate.oid === oid);
    return extension && parse(extension.value);
  };
  return {
    extensions,
    keyUsage: parsed(OID.keyUsage, parseKeyUsage),
    extendedKeyUsage: parsed(OID.extendedKeyUsage, parseExtendedKeyUsage),
    basicConstraints: parsed(OID.basicConstraints, parseBasicConstraints),
    nameConstraints: parsed(OID.nameConstraints, parseNameConstraints),
    subjectAltNames: parsed(OID.subjectAltName, parseSubjectAltName) ?? [],
    subjectKeyIdentifier: parsed(OID.subjectKeyIdentifier, parseSubjectKeyIdentifier),
    authorityKeyIdentifier: parsed(OID.authorityKeyIdentifier, parseAuthorityKeyIdentifier),
    crlDistributionPoints: parsed(OID.crlDistributionPoints, parseCrlDistributionPoints) ?? [],
    authorityInfoAccess: parsed(OID.authorityInfoAccess, parseAuthorityInfoAccess) ?? NO_ACCESS,
    sid: parsed(OID.ntdsCaSecurity, parseSid),
    unknownCritical: extensions
      .filter(({ oid, critical }) => critical && !UNDERSTOOD.has(oid))
      .map(({ oid }) => oid),
  };
}
