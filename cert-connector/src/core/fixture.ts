import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  basicConstraintsExtension,
  type Extension,
  keyUsageExtension,
} from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { signatureAlgorithmFor } from "@isthmus/shared/x509/signature";
import type { DirectoryEntry } from "./directory-entry.ts";
import type { Grant } from "./grant.ts";
import type { Issuer } from "./issuer.ts";
import type { Profile } from "./profile.ts";

/** One good value of each kind, for tests to change one thing of. */

/** 2026-01-01 12:00 UTC. */
export const NOON = 1_767_268_800_000;
const YEAR_MS = 365 * 86_400_000;

export const goodProfile: Profile = {
  id: "device",
  ndesPath: false,
  ca: "embedded",
  subject: "fromChallenge",
  subjectAltNames: [],
  challengeSubjectAltNames: ["uri", "dns", "email", "upn"],
  keyUsage: ["digitalSignature", "keyEncipherment"],
  extendedKeyUsage: ["clientAuth"],
  validityDays: 365,
  renewalWindowPercent: 20,
  keyFloor: { rsaBits: 2048, curves: ["P-256", "P-384"] },
  challenge: { kind: "signed" },
  securityIdentifier: "none",
  legacyAlgorithms: false,
  approval: false,
  maxPerHour: 1_000,
};

export const goodGrant: Grant = {
  challenge: { id: "challenge-1", expiresAt: NOON + 3_600_000 },
  deviceId: "device-1",
  userPrincipalName: "ada@example.com",
  subject: "CN=device-1,O=Example",
  subjectAltNames: [],
};

/** The account of `goodGrant` in a directory. */
export const goodEntry: DirectoryEntry = {
  distinguishedName: "CN=Lovelace\\, Ada,OU=People,DC=corp,DC=test",
  securityIdentifier: "S-1-5-21-1-2-3-1104",
  variables: {
    azureaddeviceid: "0a1b2c3d-0000-4000-8000-000000000001",
    devicename: "PC-1",
    emailaddress: "ada@corp.test",
    fullyqualifieddomainname: "pc-1.corp.test",
    onprem_distinguished_name: "CN=Lovelace\\, Ada,OU=People,DC=corp,DC=test",
    onpremisessamaccountname: "ada",
  },
};

/** An issuing CA (P-256), below a root of its own. `extensions` go into the issuing CA's certificate. */
export async function goodIssuer(
  extensions: readonly Extension[] = [],
): Promise<{ readonly issuer: Issuer; readonly key: KeyObject }> {
  const { privateKey: rootKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = parseNameText("CN=Test Root CA");
  const validity = { notBefore: NOON - YEAR_MS, notAfter: NOON + 10 * YEAR_MS };
  const usage = keyUsageExtension(["keyCertSign", "cRLSign"]);
  const root = await issueCertificate({
    subject: name,
    issuer: { selfSignedWith: rootKey },
    publicKeyInfo: publicKeyInfoOf(rootKey),
    validity,
    serialNumber: "11".repeat(16),
    extensions: [basicConstraintsExtension({ isCa: true, pathLength: 1 }), usage],
  });
  const issuing = await issueCertificate({
    subject: parseNameText("CN=Test Issuing CA"),
    issuer: { name, key: rootKey },
    publicKeyInfo: publicKeyInfoOf(key),
    validity,
    serialNumber: "22".repeat(16),
    extensions: [basicConstraintsExtension({ isCa: true, pathLength: 0 }), usage, ...extensions],
  });
  const certificate = parseCertificate(issuing);
  const keyId = keyIdentifierOf(certificate.publicKeyInfo).toString("hex");
  const chain = [certificate, parseCertificate(root)];
  return {
    issuer: { keyId, certificate, chain, signatureAlgorithm: signatureAlgorithmFor(key) },
    key,
  };
}

/** SubjectPublicKeyInfo of a new P-256 key. */
export function goodPublicKeyInfo(): Buffer {
  return publicKeyInfoOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey);
}
