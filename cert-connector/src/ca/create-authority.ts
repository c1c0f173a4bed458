import { generateKeyPair, type KeyObject } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  basicConstraintsExtension,
  type Extension,
  type KeyUsage,
  keyUsageExtension,
} from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf, serialNumberFrom } from "@isthmus/shared/x509/issue";
import { type DistinguishedName, encodeName } from "@isthmus/shared/x509/name";
import { nameConstraintsExtension, type Subtree } from "@isthmus/shared/x509/name-constraints";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { derToPem } from "@isthmus/shared/x509/pem";
import { AUTHORITY_FILES } from "./authority-folder.ts";
import { writeEncryptedKey } from "./encrypted-key.ts";
import { issueRegistrationCertificate } from "./registration-certificate.ts";

export const AUTHORITY_ALGORITHMS = ["rsa-2048", "rsa-3072", "ec-p256", "ec-p384"] as const;
export type AuthorityAlgorithm = (typeof AUTHORITY_ALGORITHMS)[number];

/** How long each certificate of the authority lives. */
const YEAR_MS = 365 * 86_400_000;
const ROOT_VALIDITY_MS = 20 * YEAR_MS;
const ISSUING_VALIDITY_MS = 10 * YEAR_MS;
const BACKDATE_MS = 300_000;
const SERIAL_NUMBER_OCTETS = 20;

export interface AuthorityOrder {
  /** E.g. `Contoso Devices`: names become `CN=<name> Root CA` and so on. */
  readonly name: string;
  readonly algorithm: AuthorityAlgorithm;
  readonly folder: string;
  readonly passphrase: string;
  /** Where the root's private key goes, once; the service never needs it. */
  readonly rootKeyFile: string;
  readonly rootPassphrase: string;
  /** Names that the issuing authority may certify; none means any. */
  readonly permitted: readonly Subtree[];
  /** The issuing authority may decrypt, too: SCEP profiles can then do without a separate RA. RSA alone. */
  readonly isOwnRa?: boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Makes a root and, below it, an issuing authority (pathLen 0), the RA of SCEP. Nothing that exists is
 * overwritten. Throws ConnectorError `authority-exists`.
 */
export async function createAuthority(order: AuthorityOrder): Promise<void> {
  refuseExisting(order);
  mkdirSync(order.folder, { recursive: true, mode: 0o700 });
  mkdirSync(dirname(order.rootKeyFile), { recursive: true, mode: 0o700 });
  const root = await makeRoot(order);
  const issuing = await makeIssuing(order, root);
  const ra = await makeRegistrationAuthority(order, issuing);
  const { folder, passphrase } = order;
  const certificate = (name: string, der: Buffer) =>
    writeFileSync(join(folder, name), derToPem(der, "CERTIFICATE"), { flag: "wx", mode: 0o644 });
  writeEncryptedKey(order.rootKeyFile, root.key, order.rootPassphrase);
  writeEncryptedKey(join(folder, AUTHORITY_FILES.issuingKey), issuing.key, passphrase);
  writeEncryptedKey(join(folder, AUTHORITY_FILES.raKey), ra.key, passphrase);
  certificate(AUTHORITY_FILES.root, root.der);
  certificate(AUTHORITY_FILES.issuing, issuing.der);
  certificate(AUTHORITY_FILES.ra, ra.der);
}

interface Made {
  readonly name: DistinguishedName;
  readonly key: KeyObject;
  readonly der: Buffer;
}

function makeRoot(order: AuthorityOrder): Promise<Made> {
  return make(order, {
    commonName: `${order.name} Root CA`,
    algorithm: order.algorithm,
    validityMs: ROOT_VALIDITY_MS,
    issuer: undefined,
    extensions: [
      basicConstraintsExtension({ isCa: true, pathLength: 1 }),
      keyUsageExtension(["keyCertSign", "cRLSign"]),
    ],
  });
}

/** No extended key usage: one on an issuing authority restricts every certificate below it. */
function makeIssuing(order: AuthorityOrder, root: Made): Promise<Made> {
  const { permitted } = order;
  const constraints =
    permitted.length === 0 ? [] : [nameConstraintsExtension({ permitted, excluded: [] })];
  return make(order, {
    commonName: `${order.name} Issuing CA`,
    algorithm: order.algorithm,
    validityMs: ISSUING_VALIDITY_MS,
    issuer: root,
    extensions: [
      basicConstraintsExtension({ isCa: true, pathLength: 0 }),
      keyUsageExtension(issuingUsages(order)),
      ...constraints,
    ],
  });
}

/** The key that opens SCEP messages must say so (RFC 8894 section 2.1.2). */
function issuingUsages({ isOwnRa = false, algorithm }: AuthorityOrder): KeyUsage[] {
  if (isOwnRa && !algorithm.startsWith("rsa-")) {
    throw new ConnectorError(
      "authority-own-ra",
      `an issuing CA with a key of ${algorithm} cannot be its own SCEP RA: choose rsa-2048 or rsa-3072`,
    );
  }
  const further: KeyUsage[] = isOwnRa ? ["keyEncipherment"] : [];
  return ["digitalSignature", ...further, "keyCertSign", "cRLSign"];
}

/** RSA whatever the authority is: SCEP clients encrypt their request to it. */
async function makeRegistrationAuthority(order: AuthorityOrder, issuing: Made): Promise<Made> {
  const algorithm = order.algorithm === "rsa-3072" ? "rsa-3072" : "rsa-2048";
  const { privateKey: key } = await newKey(algorithm);
  const name = commonName(`${order.name} SCEP RA`);
  const der = await issueRegistrationCertificate({
    subject: name,
    key,
    issuing: { certificate: parseCertificate(issuing.der), key: issuing.key },
    now: order.clock.now(),
    random: order.random,
  });
  return { name, key, der };
}

interface Role {
  readonly commonName: string;
  readonly algorithm: AuthorityAlgorithm;
  readonly validityMs: number;
  readonly issuer: Made | undefined;
  readonly extensions: readonly Extension[];
}

async function make({ clock, random }: AuthorityOrder, role: Role): Promise<Made> {
  const { privateKey: key } = await newKey(role.algorithm);
  const name = commonName(role.commonName);
  const now = clock.now();
  const der = await issueCertificate({
    subject: name,
    issuer: role.issuer ?? { selfSignedWith: key },
    publicKeyInfo: publicKeyInfoOf(key),
    validity: { notBefore: now - BACKDATE_MS, notAfter: now + role.validityMs },
    serialNumber: serialNumberFrom(random.bytes(SERIAL_NUMBER_OCTETS)),
    extensions: role.extensions,
  });
  return { name, key, der };
}

function commonName(value: string): DistinguishedName {
  return encodeName([[{ type: OID.commonName, value }]]);
}

const generate = promisify(generateKeyPair);

function newKey(algorithm: AuthorityAlgorithm): Promise<{ readonly privateKey: KeyObject }> {
  switch (algorithm) {
    case "rsa-2048":
      return generate("rsa", { modulusLength: 2048 });
    case "rsa-3072":
      return generate("rsa", { modulusLength: 3072 });
    case "ec-p256":
      return generate("ec", { namedCurve: "P-256" });
    case "ec-p384":
      return generate("ec", { namedCurve: "P-384" });
  }
}

function refuseExisting({ folder, rootKeyFile }: AuthorityOrder): void {
  const files = [...Object.values(AUTHORITY_FILES).map((name) => join(folder, name)), rootKeyFile];
  const existing = files.find((file) => existsSync(file));
  if (existing === undefined) return;
  throw new ConnectorError(
    "authority-exists",
    `${existing} exists; a certification authority is made once, and never over another`,
  );
}
