import { DerReader } from "@isthmus/shared/x509/der-reader";
import { nullValue, objectIdentifier, sequence } from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { describePublicKey, keyBitsOf, keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { isPointOf } from "./elliptic-point.ts";
import type { LintRule, LintSubject } from "./lint-rule.ts";
import { EXTENDED_KEY_USAGE_OIDS } from "./profile.ts";
import { keyFault } from "./public-key.ts";

/** The AlgorithmIdentifiers of keys that profiles can ask for. */
const KEY_ALGORITHMS: readonly Buffer[] = [
  sequence(objectIdentifier(OID.rsaEncryption), nullValue()),
  ...[OID.p256, OID.p384, OID.p521].map((curve) =>
    sequence(objectIdentifier(OID.ecPublicKey), objectIdentifier(curve)),
  ),
];
/** Purposes that would make a device a part of the public key infrastructure, or anything at all. */
const FORBIDDEN_PURPOSES: ReadonlySet<string> = new Set([
  OID.anyExtendedKeyUsage,
  OID.ocspSigning,
  OID.timeStamping,
  OID.codeSigning,
]);

/** What the key in a certificate has to be, and what it may be used for. */
export const KEY_RULES: readonly LintRule[] = [
  {
    name: "key-floor",
    source: "the profile",
    fault: ({ certificate, profile }) =>
      keyFault(describePublicKey(certificate.publicKeyInfo), profile.keyFloor),
  },
  {
    name: "key-algorithm",
    source: "RFC 3279 section 2.3.1, RFC 5480 section 2.1.1: byte for byte",
    fault: ({ certificate }) => {
      const algorithm = new DerReader(certificate.publicKeyInfo).enter().readRaw();
      return KEY_ALGORITHMS.some((known) => known.equals(algorithm))
        ? undefined
        : "not the one form that every relying party reads";
    },
  },
  {
    name: "ec-point",
    source: "RFC 5480 section 2.2; NIST SP 800-56A section 5.6.2.3.4",
    fault: ({ certificate }) => {
      const key = describePublicKey(certificate.publicKeyInfo);
      if (key.kind !== "ec") return undefined;
      return isPointOf(key.curve, keyBitsOf(certificate.publicKeyInfo))
        ? undefined
        : "not an uncompressed point of its curve";
    },
  },
  {
    name: "key-of-the-authority",
    source: "ours: a key has one owner",
    fault: ({ certificate, issuer }) =>
      issuer.chain.some((each) => each.publicKeyInfo.equals(certificate.publicKeyInfo))
        ? "the key is that of a CA"
        : undefined,
  },
  {
    name: "subject-key-identifier",
    source: "RFC 5280 section 4.2.1.2",
    fault: ({ certificate }) =>
      certificate.subjectKeyIdentifier?.equals(keyIdentifierOf(certificate.publicKeyInfo))
        ? undefined
        : "not that of the key",
  },
  {
    name: "end-entity",
    source: "RFC 5280 section 4.2.1.9",
    fault: ({ certificate: { basicConstraints } }) =>
      basicConstraints?.isCa === false ? undefined : "basic constraints do not say end entity",
  },
  {
    name: "key-usage",
    source: "the profile; RFC 5280 section 4.2.1.3",
    fault: keyUsageFault,
  },
  {
    name: "key-usage-of-key-type",
    source: "RFC 8813 section 3",
    fault: ({ certificate }) => {
      const isRsa = describePublicKey(certificate.publicKeyInfo).kind === "rsa";
      const isEnciphering = certificate.keyUsage?.includes("keyEncipherment") ?? false;
      return isEnciphering && !isRsa ? "keyEncipherment with a key that cannot" : undefined;
    },
  },
  {
    name: "extended-key-usage",
    source: "the profile",
    fault: ({ certificate, profile }) => {
      const allowed = profile.extendedKeyUsage.map((name) => EXTENDED_KEY_USAGE_OIDS[name]);
      const found = [...(certificate.extendedKeyUsage ?? [])].sort();
      return JSON.stringify(found) === JSON.stringify(allowed.sort())
        ? undefined
        : `${found.join(", ") || "none"}, not the profile's`;
    },
  },
  {
    name: "forbidden-purpose",
    source: "ours: no device answers OCSP or stamps time",
    fault: ({ certificate: { extendedKeyUsage = [] } }) =>
      extendedKeyUsage.find((oid) => FORBIDDEN_PURPOSES.has(oid)),
  },
];

function keyUsageFault({ certificate, profile }: LintSubject): string | undefined {
  const { keyUsage, extensions } = certificate;
  if (keyUsage === undefined || keyUsage.length === 0) return "there is none";
  if (!extensions.some(({ oid, critical }) => oid === OID.keyUsage && critical)) {
    return "it is not critical";
  }
  const allowed: readonly string[] = profile.keyUsage;
  const foreign = keyUsage.find((usage) => !allowed.includes(usage));
  return foreign && `${foreign} is not the profile's`;
}
