import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import type { KeyUsage } from "@isthmus/shared/x509/extensions";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import type { Subtree } from "@isthmus/shared/x509/name-constraints";
import { derToPem } from "@isthmus/shared/x509/pem";
import {
  commonName,
  ISSUING_VALIDITY_MS,
  issueRoot,
  issueSubordinate,
} from "./authority-certificates.ts";
import { AUTHORITY_FILES } from "./authority-folder.ts";
import {
  type AuthorityAlgorithm,
  type KeyPlace,
  keyInFile,
  type NewKey,
} from "./authority-keys.ts";
import { issueRegistrationCertificate } from "./registration-certificate.ts";
import { signRootList } from "./root-list.ts";

export interface AuthorityOrder {
  /** E.g. `Contoso Devices`: names become `CN=<name> Root CA` and so on. */
  readonly name: string;
  readonly algorithm: AuthorityAlgorithm;
  readonly folder: string;
  readonly passphrase: string;
  /** Where the root's private key goes, once; the service never needs it. Not used where `keys.root` is given. */
  readonly rootKeyFile: string;
  readonly rootPassphrase: string;
  /** Where keys go that do not go into files, e.g. into a token. */
  readonly keys?: Readonly<Partial<Record<"root" | "issuing" | "ra", KeyPlace>>>;
  /** Names that the issuing authority may certify; none means any. */
  readonly permitted: readonly Subtree[];
  /** The issuing authority may decrypt, too: SCEP profiles can then do without a separate RA. RSA alone. */
  readonly isOwnRa?: boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Makes a root and, below it, an issuing authority (pathLen 0), the RA of SCEP, and the root's empty revocation list. Nothing
 * that exists is overwritten. Throws ConnectorError `authority-exists`, `hsm-*`.
 */
export async function createAuthority(order: AuthorityOrder): Promise<void> {
  const keyUsage = issuingUsages(order);
  const places = placesOf(order);
  refuseExisting(order, places);
  const keys = await makeKeys(order, places);
  const made = await certify(order, keys, keyUsage);
  mkdirSync(order.folder, { recursive: true, mode: 0o700 });
  for (const key of Object.values(keys)) key.store();
  const write = (file: string, der: Buffer, label: string) =>
    writeFileSync(join(order.folder, file), derToPem(der, label), { flag: "wx", mode: 0o644 });
  write(AUTHORITY_FILES.root, made.root, "CERTIFICATE");
  write(AUTHORITY_FILES.rootList, made.rootList, "X509 CRL");
  write(AUTHORITY_FILES.issuing, made.issuing, "CERTIFICATE");
  write(AUTHORITY_FILES.ra, made.ra, "CERTIFICATE");
}

type Keys = Readonly<Record<"root" | "issuing" | "ra", NewKey>>;

/** RSA for the RA whatever the authority is: SCEP clients encrypt their request to it. */
async function makeKeys(order: AuthorityOrder, places: Places): Promise<Keys> {
  const { algorithm, isOwnRa = false } = order;
  return {
    root: await places.root.make(algorithm, false),
    issuing: await places.issuing.make(algorithm, isOwnRa),
    ra: await places.ra.make(algorithm === "rsa-3072" ? "rsa-3072" : "rsa-2048", true),
  };
}

async function certify(order: AuthorityOrder, keys: Keys, keyUsage: readonly KeyUsage[]) {
  const { name, permitted, clock, random } = order;
  const when = { now: clock.now(), random };
  const root = await issueRoot({
    subject: commonName(`${name} Root CA`),
    key: keys.root.key,
    ...when,
  });
  const issuing = await issueSubordinate({
    root,
    subject: commonName(`${name} Issuing CA`),
    publicKeyInfo: publicKeyInfoOf(keys.issuing.key),
    validityMs: ISSUING_VALIDITY_MS,
    pathLength: 0,
    keyUsage,
    extendedKeyUsage: [],
    permitted,
    ...when,
  });
  const ra = await issueRegistrationCertificate({
    subject: commonName(`${name} SCEP RA`),
    key: keys.ra.key,
    issuing: { certificate: parseCertificate(issuing), key: keys.issuing.key },
    ...when,
  });
  const empty = { number: 1n, revoked: [], validityMs: ISSUING_VALIDITY_MS };
  const rootList = await signRootList({ root, now: when.now, ...empty });
  return { root: root.certificate.der, rootList, issuing, ra };
}

type Places = Readonly<Record<"root" | "issuing" | "ra", KeyPlace>>;

function placesOf(order: AuthorityOrder): Places {
  const { folder, passphrase, rootKeyFile, rootPassphrase, keys = {} } = order;
  return {
    root: keys.root ?? keyInFile(rootKeyFile, rootPassphrase),
    issuing: keys.issuing ?? keyInFile(join(folder, AUTHORITY_FILES.issuingKey), passphrase),
    ra: keys.ra ?? keyInFile(join(folder, AUTHORITY_FILES.raKey), passphrase),
  };
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

function refuseExisting({ folder }: AuthorityOrder, places: Places): void {
  const certificates = Object.values(AUTHORITY_FILES).map((name) => join(folder, name));
  const keys = Object.values(places).map(({ file }) => file);
  const existing = [...certificates, ...keys].find(
    (file) => file !== undefined && existsSync(file),
  );
  if (existing !== undefined) {
    throw new ConnectorError(
      "authority-exists",
      `${existing} exists; a certification authority is made once, and never over another`,
    );
  }
  if (places.root.file !== undefined) {
    mkdirSync(dirname(places.root.file), { recursive: true, mode: 0o700 });
  }
}
