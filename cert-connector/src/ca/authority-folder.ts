import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { type CertificateList, parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { verifyIssuedBy } from "@isthmus/shared/x509/chain";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { verify } from "@isthmus/shared/x509/signature";
import type { HeldKey, SigningKey } from "@isthmus/shared/x509/signing-key";
import { readEncryptedKey } from "./encrypted-key.ts";

/**
 * Where the embedded authority lives:
 *
 *     root.pem, root.crl              the root, whose key is elsewhere, and its own revocation list
 *     issuing.pem, issuing.key.pem    signs devices' certificates, lists and the RA's
 *     next.pem                        if there: the issuing CA that will follow, and its root (GetNextCACert)
 *     next.key.pem                    its key
 *     ra.pem, ra.key.pem              SCEP: opens envelopes and signs answers; always RSA
 *     ra-previous.pem, ...key.pem     if there: the RA before it, whose envelopes are still opened
 *
 * Keys that are in a token are not here.
 *
 * The service only reads it: the folder may be mounted read-only.
 */
export const AUTHORITY_FILES = {
  root: "root.pem",
  rootList: "root.crl",
  issuing: "issuing.pem",
  issuingKey: "issuing.key.pem",
  ra: "ra.pem",
  raKey: "ra.key.pem",
  previousRa: "ra-previous.pem",
  previousRaKey: "ra-previous.key.pem",
  next: "next.pem",
  nextKey: "next.key.pem",
} as const;

export interface KeyedCertificate {
  readonly certificate: Certificate;
  readonly key: SigningKey;
}

/** All that the service needs of its authority, checked: keys belong to certificates, and these to each other. */
export interface AuthorityFiles {
  readonly folder: string;
  readonly root: Certificate;
  readonly issuing: KeyedCertificate;
  readonly ra: KeyedCertificate;
  /** The RA before this one; undefined where there was none or its key is not here. */
  readonly previousRa: KeyedCertificate | undefined;
  /** The root's own list, signed by it; authorities made before there was one have none. */
  readonly rootList: CertificateList | undefined;
  /** The authority that will follow; empty until it is known. */
  readonly next: readonly Certificate[];
}

/** The certificates alone, with no look at any key. */
export type AuthorityCertificates = Readonly<Record<"root" | "issuing" | "ra", Certificate>> &
  Pick<AuthorityFiles, "next" | "rootList">;

/** Throws ConnectorError `authority-missing`. */
export function readAuthorityCertificates(folder: string): AuthorityCertificates {
  const at = (name: string) => join(folder, name);
  return {
    root: readCertificate(at(AUTHORITY_FILES.root)),
    issuing: readCertificate(at(AUTHORITY_FILES.issuing)),
    ra: readCertificate(at(AUTHORITY_FILES.ra)),
    rootList: readList(at(AUTHORITY_FILES.rootList)),
    next: existsSync(at(AUTHORITY_FILES.next)) ? readCertificates(at(AUTHORITY_FILES.next)) : [],
  };
}

/** Keys that are not in the folder. */
export type HeldKeys = Readonly<Partial<Record<"issuing" | "ra", HeldKey>>>;

/** Throws ConnectorError `authority-missing`, `authority-inconsistent`, `key-unreadable`. */
export function readAuthorityFolder(
  folder: string,
  passphrase: string,
  held: HeldKeys = {},
): AuthorityFiles {
  const { root, issuing, ra, rootList, next } = readAuthorityCertificates(folder);
  const keyIn = (name: string) => readEncryptedKey(join(folder, name), passphrase);
  const files: AuthorityFiles = {
    folder,
    root,
    issuing: {
      certificate: issuing,
      key: held.issuing ?? keyIn(AUTHORITY_FILES.issuingKey),
    },
    ra: { certificate: ra, key: held.ra ?? keyIn(AUTHORITY_FILES.raKey) },
    previousRa: undefined,
    rootList,
    next,
  };
  const faults = inconsistencies(files);
  if (faults.length === 0) return { ...files, previousRa: readPreviousRa(files, keyIn) };
  throw new ConnectorError(
    "authority-inconsistent",
    `certification authority in ${folder}: ${faults.join("; ")}`,
  );
}

/** Its key is in the folder too, or is the present one with a new certificate. */
function readPreviousRa(
  { folder, ra }: AuthorityFiles,
  keyIn: (name: string) => SigningKey,
): KeyedCertificate | undefined {
  const file = join(folder, AUTHORITY_FILES.previousRa);
  if (!existsSync(file)) return undefined;
  const certificate = readCertificate(file);
  if (certificate.publicKeyInfo.equals(ra.certificate.publicKeyInfo)) {
    return { certificate, key: ra.key };
  }
  const hasKey = existsSync(join(folder, AUTHORITY_FILES.previousRaKey));
  return hasKey ? { certificate, key: keyIn(AUTHORITY_FILES.previousRaKey) } : undefined;
}

function readCertificate(file: string): Certificate {
  const [certificate] = readCertificates(file);
  if (certificate !== undefined) return certificate;
  throw new ConnectorError("authority-missing", `${file} holds no certificate`);
}

function readCertificates(file: string): Certificate[] {
  let pem: string;
  try {
    pem = readFileSync(file, "utf8");
  } catch (cause) {
    throw new ConnectorError(
      "authority-missing",
      `certificate ${file} cannot be read; "ca init" makes a certification authority`,
      { cause },
    );
  }
  return pemToDer(pem, "CERTIFICATE").map(parseCertificate);
}

function readList(file: string): CertificateList | undefined {
  if (!existsSync(file)) return undefined;
  const [der] = pemToDer(readFileSync(file, "utf8"), "X509 CRL");
  if (der !== undefined) return parseCertificateList(der);
  throw new ConnectorError("authority-missing", `${file} holds no revocation list`);
}

function inconsistencies({ root, issuing, ra, rootList }: AuthorityFiles): string[] {
  const faults: string[] = [];
  const expect = (isGood: boolean, fault: string) => {
    if (!isGood) faults.push(fault);
  };
  for (const [name, { certificate, key }] of Object.entries({ issuing, ra })) {
    expect(
      certificate.publicKeyInfo.equals(publicKeyInfoOf(key)),
      `${name}.key.pem is not the key of ${name}.pem`,
    );
  }
  expect(verifyIssuedBy(root, root), "root.pem is not signed by itself");
  expect(rootList === undefined || isListOf(rootList, root), "root.crl is not signed by root.pem");
  expect(verifyIssuedBy(issuing.certificate, root), "issuing.pem is not issued by root.pem");
  expect(verifyIssuedBy(ra.certificate, issuing.certificate), "ra.pem is not of issuing.pem");
  const isRsa = ra.certificate.publicKey().asymmetricKeyType === "rsa";
  expect(isRsa, "the RA key is not RSA, which SCEP needs");
  return faults;
}

function isListOf(list: CertificateList, root: Certificate): boolean {
  return verify(list.signatureAlgorithm, list.tbs, list.signature, root.publicKey());
}
