import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { type Certificate, parseCertificate } from "../x509/certificate.ts";
import {
  basicConstraintsExtension,
  type Extension,
  keyUsageExtension,
} from "../x509/extensions.ts";
import { issueCertificate, publicKeyInfoOf } from "../x509/issue.ts";
import { parseNameText } from "../x509/name-text.ts";

/** The moment that test certificates are about: they hold from a day before until a year after. */
export const TEST_NOW = Date.UTC(2026, 0, 15);
const DAY_MS = 86_400_000;

/** A certificate with its private key. */
export interface TestIdentity {
  readonly certificate: Certificate;
  readonly key: KeyObject;
}

export interface TestCertificateOptions {
  /** RFC 4514 text. */
  readonly subject?: string;
  readonly serialNumber?: string;
  readonly extensions?: readonly Extension[];
  readonly key?: KeyObject;
  readonly notBefore?: number;
  readonly notAfter?: number;
}

/** Extensions of a CA without limits. */
export const CA_EXTENSIONS: readonly Extension[] = [
  basicConstraintsExtension({ isCa: true }),
  keyUsageExtension(["keyCertSign", "cRLSign"]),
];

/** A new P-256 private key. */
export function testKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/** A new RSA private key of 2048 bits. */
export function testRsaKey(): KeyObject {
  return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
}

/** A certificate for a new P-256 key, signed by `issuer` or by itself. */
export async function testCertificate(
  options: TestCertificateOptions = {},
  issuer?: TestIdentity,
): Promise<TestIdentity> {
  const key = options.key ?? testKey();
  const subject = parseNameText(options.subject ?? "CN=device");
  const der = await issueCertificate({
    subject,
    issuer:
      issuer === undefined
        ? { selfSignedWith: key }
        : { name: issuer.certificate.subject, key: issuer.key },
    publicKeyInfo: publicKeyInfoOf(key),
    validity: {
      notBefore: options.notBefore ?? TEST_NOW - DAY_MS,
      notAfter: options.notAfter ?? TEST_NOW + 365 * DAY_MS,
    },
    serialNumber: options.serialNumber ?? "4001",
    extensions: options.extensions ?? [],
  });
  return { certificate: parseCertificate(der), key };
}

/** A CA: `testCertificate` with the extensions of one. */
export function testAuthority(
  options: TestCertificateOptions = {},
  issuer?: TestIdentity,
): Promise<TestIdentity> {
  return testCertificate({ subject: "CN=CA", extensions: CA_EXTENSIONS, ...options }, issuer);
}
