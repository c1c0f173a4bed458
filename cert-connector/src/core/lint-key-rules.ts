import { DerReader } from "@isthmus/shared/x509/der-reader";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { describePublicKey, keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import type { LintRule, LintSubject } from "./lint-rule.ts";
import { EXTENDED_KEY_USAGE_OIDS } from "./profile.ts";
import { keyFault } from "./public-key.ts";

/** NIST SP 800-56B section 6.2: exponents start here. */
const SMALLEST_EXPONENT = 65_537n;
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
    name: "rsa-exponent",
    source: "NIST SP 800-56B section 6.2",
    fault: ({ certificate }) => {
      const exponent = rsaNumbers(certificate.publicKeyInfo)?.exponent ?? SMALLEST_EXPONENT;
      return exponent < SMALLEST_EXPONENT ? `${exponent} is too small` : undefined;
    },
  },
  {
    name: "rsa-small-factor",
    source: "CA/Browser Forum Baseline Requirements section 6.1.6",
    fault: ({ certificate }) => {
      const modulus = rsaNumbers(certificate.publicKeyInfo)?.modulus;
      const factor = modulus === undefined ? undefined : smallFactor(modulus);
      return factor === undefined ? undefined : `${factor} divides the modulus`;
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

/** RSAPublicKey of a SubjectPublicKeyInfo; undefined for other keys. */
function rsaNumbers(publicKeyInfo: Buffer) {
  const body = new DerReader(publicKeyInfo).enter();
  if (body.enter().readObjectIdentifier() !== OID.rsaEncryption) return undefined;
  const key = new DerReader(body.readBitStringOctets()).enter();
  return { modulus: unsigned(key.readInteger()), exponent: unsigned(key.readInteger()) };
}

function unsigned(content: Buffer): bigint {
  return BigInt(`0x${content.toString("hex")}`);
}

const SMALL_PRIMES = primesBelow(752);
const SMALL_PRIMES_PRODUCT = SMALL_PRIMES.reduce((product, prime) => product * prime, 1n);

/** One division of the long number, the rest on a short one. */
function smallFactor(modulus: bigint): bigint | undefined {
  const rest = modulus % SMALL_PRIMES_PRODUCT;
  return SMALL_PRIMES.find((prime) => rest % prime === 0n);
}

function primesBelow(limit: number): bigint[] {
  const candidates = Array.from({ length: limit - 2 }, (_, index) => index + 2);
  return candidates
    .filter((number) => candidates.every((other) => other >= number || number % other !== 0))
    .map(BigInt);
}
