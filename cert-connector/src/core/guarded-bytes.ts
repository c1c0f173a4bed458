import { ProtocolError } from "@isthmus/shared/errors";
import {
  assembleSigned,
  type Certificate,
  parseCertificate,
} from "@isthmus/shared/x509/certificate";
import { formatName } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { Issuer } from "./issuer.ts";
import { type AltName, EXTENDED_KEY_USAGE_OIDS, type ProfileKeyUsage } from "./profile.ts";

/**
 * What is signed comes back from the ledger, whose database may be on another machine: whoever can write there could have
 * anything signed. So the very bytes are held to the guardrails, and to what this connector writes at all.
 */

/** Everything that a plan puts into a certificate. */
const WRITTEN: ReadonlySet<string> = new Set([
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.basicConstraints,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.subjectAltName,
  OID.crlDistributionPoints,
  OID.authorityInfoAccess,
  OID.ntdsCaSecurity,
]);
const END_ENTITY_USAGES: readonly (ProfileKeyUsage | string)[] = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
] satisfies readonly ProfileKeyUsage[];
const DAY_MS = 86_400_000;
/** Certificates begin some minutes before they are made. */
const BACKDATE_TOLERANCE_MS = 3_600_000;
const NO_SIGNATURE = Buffer.alloc(1);

/** What the guardrails say of single values; each throws RefusalError. */
export interface ByteRules {
  readonly extendedKeyUsage: readonly string[];
  readonly maxValidityDays: number;
  judgeSubject(text: string): void;
  judgeName(name: AltName): void;
  judgeSecurityIdentifier(sid: string): void;
}

/** Why these bytes (a TBSCertificate, DER) may not be signed; undefined where they may. Throws what `rules` throw. */
export function byteFault(
  tbs: Uint8Array,
  issuer: Pick<Issuer, "signatureAlgorithm" | "certificate">,
  rules: ByteRules,
): string | undefined {
  const certificate = readBack(tbs, issuer);
  if (certificate === undefined) return "what is no certificate";
  const fault = formFault(certificate, issuer) ?? purposeFault(certificate, rules);
  if (fault !== undefined) return fault;
  rules.judgeSubject(formatName(certificate.subject));
  for (const name of certificate.subjectAltNames) {
    const { type, value } = name;
    if (type !== "uri" && type !== "dns" && type !== "email" && type !== "upn") {
      return `an alternative name of type ${type}`;
    }
    rules.judgeName({ type, value });
  }
  if (certificate.sid !== undefined) rules.judgeSecurityIdentifier(certificate.sid);
  return undefined;
}

function readBack(
  tbs: Uint8Array,
  { signatureAlgorithm }: Pick<Issuer, "signatureAlgorithm">,
): Certificate | undefined {
  try {
    return parseCertificate(assembleSigned(tbs, signatureAlgorithm, NO_SIGNATURE));
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function formFault(
  { basicConstraints, extensions, issuer }: Certificate,
  { certificate }: Pick<Issuer, "certificate">,
): string | undefined {
  if (basicConstraints?.isCa !== false) return "a certificate that may be a CA's";
  if (!issuer.der.equals(certificate.subject.der)) return "a certificate of another issuer";
  const foreign = extensions.find(({ oid }) => !WRITTEN.has(oid));
  return foreign && `the extension ${foreign.oid}`;
}

function purposeFault(
  { keyUsage = [], extendedKeyUsage = [], notBefore, notAfter }: Certificate,
  { extendedKeyUsage: allowed, maxValidityDays }: ByteRules,
): string | undefined {
  const isUsed = keyUsage.length > 0 && keyUsage.every((each) => END_ENTITY_USAGES.includes(each));
  if (!isUsed) return "key usages beyond an end entity's";
  const purposes = Object.entries(EXTENDED_KEY_USAGE_OIDS)
    .filter(([name]) => allowed.includes(name))
    .map(([, oid]): string => oid);
  const isFor =
    extendedKeyUsage.length > 0 && extendedKeyUsage.every((each) => purposes.includes(each));
  if (!isFor) return "extended key usages beyond certificates.extendedKeyUsage";
  const validityMs = notAfter - notBefore;
  return validityMs > maxValidityDays * DAY_MS + BACKDATE_TOLERANCE_MS
    ? `a validity over ${maxValidityDays} days`
    : undefined;
}
