import type { KeyUsage } from "@isthmus/shared/x509/extensions";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { isSidUri, SID_URI_PREFIX } from "./grant.ts";
import type { LintRule, LintSubject } from "./lint-rule.ts";

/** Of each purpose the key usages that serve it: without one of them no relying party could use the certificate for it. */
const SERVING_USAGES: Readonly<Record<string, readonly KeyUsage[]>> = {
  [OID.serverAuth]: ["digitalSignature", "keyEncipherment", "keyAgreement"],
  [OID.clientAuth]: ["digitalSignature", "keyAgreement"],
  [OID.emailProtection]: ["digitalSignature", "nonRepudiation", "keyEncipherment", "keyAgreement"],
  [OID.ipsecIke]: ["digitalSignature", "nonRepudiation"],
  [OID.smartcardLogon]: ["digitalSignature"],
};

const ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0";

/** A domain's account: S-1-5-21, three numbers of the domain and one of the account ([MS-DTYP] section 2.4.2.1). */
const ACCOUNT_SID = /^S-1-5-21-\d{1,10}-\d{1,10}-\d{1,10}-\d{1,10}$/;

/** What a certificate has to carry for what it is to be used for. */
export const PURPOSE_RULES: readonly LintRule[] = [
  {
    name: "usage-serves-purpose",
    source: "RFC 5280 section 4.2.1.12; RFC 4945 section 5.1.3.2",
    fault: ({ certificate: { extendedKeyUsage = [], keyUsage = [] } }) => {
      const idle = extendedKeyUsage.find((purpose) => {
        const serving = SERVING_USAGES[purpose];
        return serving !== undefined && !serving.some((usage) => keyUsage.includes(usage));
      });
      return idle && `no key usage serves ${idle}`;
    },
  },
  {
    name: "issuer-purpose",
    source:
      "RFC 5280 section 4.2.1.12 as Windows, OpenSSL and NSS read it in a CA: a bound on all below",
    fault: ({ certificate: { extendedKeyUsage = [] }, issuer }) => {
      const barred = extendedKeyUsage.find((purpose) =>
        issuer.chain.some(({ extendedKeyUsage: allowed }) => bars(allowed, purpose)),
      );
      return barred && `a CA above it is for other purposes than ${barred}`;
    },
  },
  {
    name: "mail-address",
    source: "RFC 8550 section 3; CA/Browser Forum S/MIME Baseline Requirements section 7.1.4.2.1",
    fault: mailFault,
  },
  {
    name: "logon-name",
    source: "Microsoft: smart card logon finds the account by its user principal name or SID",
    fault: ({ certificate }) => {
      if (!certificate.extendedKeyUsage?.includes(OID.smartcardLogon)) return undefined;
      const isFound =
        certificate.subjectAltNames.some(({ type }) => type === "upn") ||
        securityIdentifiers(certificate).length > 0;
      return isFound ? undefined : "for logon, and names no account";
    },
  },
  {
    name: "security-identifier",
    source: "Microsoft KB5014754: compared letter by letter by the domain controller",
    fault: ({ certificate }) =>
      securityIdentifiers(certificate).every((sid) => ACCOUNT_SID.test(sid))
        ? undefined
        : "not the SID of a domain's account in Microsoft's form",
  },
  {
    name: "one-account",
    source: "ours: a certificate stands for one account",
    fault: ({ certificate }) => {
      const accounts = new Set(securityIdentifiers(certificate));
      return accounts.size > 1 ? `${accounts.size} security identifiers` : undefined;
    },
  },
];

function bars(allowed: readonly string[] | undefined, purpose: string): boolean {
  return (
    allowed !== undefined && !allowed.includes(purpose) && !allowed.includes(ANY_EXTENDED_KEY_USAGE)
  );
}

/** An address in the subject has to stand among the alternative names, where every mail program looks. */
function mailFault({ certificate }: LintSubject): string | undefined {
  if (!certificate.extendedKeyUsage?.includes(OID.emailProtection)) return undefined;
  const named = new Set(
    certificate.subjectAltNames.flatMap((name) => (name.type === "email" ? [name.value] : [])),
  );
  if (named.size === 0) return "for mail, and has no address among its alternative names";
  const subject = certificate.subject.attributes.flat();
  const isLost = subject.some(({ type, value }) => type === OID.emailAddress && !named.has(value));
  return isLost ? "an address of the subject is not among the alternative names" : undefined;
}

/** Of the URIs (as they stand, the prefix in another case is part of it) and of Microsoft's extension. */
function securityIdentifiers({
  subjectAltNames,
  sid,
}: LintSubject["certificate"]): readonly string[] {
  const uris = subjectAltNames.flatMap((name) =>
    name.type === "uri" && isSidUri(name.value) ? [name.value] : [],
  );
  const fromUris = uris.map((uri) =>
    uri.startsWith(SID_URI_PREFIX) ? uri.slice(SID_URI_PREFIX.length) : uri,
  );
  return sid === undefined ? fromUris : [...fromUris, sid];
}
