import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { verifyIssuedBy } from "@isthmus/shared/x509/chain";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { pemToDer } from "@isthmus/shared/x509/pem";
import type { HeldKey, SigningKey } from "@isthmus/shared/x509/signing-key";
import { readEncryptedKey } from "./encrypted-key.ts";

/**
 * Where the embedded authority lives:
 *
 *     root.pem                        the root, whose key is elsewhere
 *     issuing.pem, issuing.key.pem    signs devices' certificates, lists and the RA's
 *     next.pem                        if there: the issuing CA that will follow, and its root (GetNextCACert)
 *     ra.pem, ra.key.pem              SCEP: opens envelopes and signs answers; always RSA
 *
 * The service only reads it: the folder may be mounted read-only.
 */
export const AUTHORITY_FILES = {
  root: "root.pem",
  issuing: "issuing.pem",
  issuingKey: "issuing.key.pem",
  ra: "ra.pem",
  raKey: "ra.key.pem",
  next: "next.pem",
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
  /** The authority that will follow; empty until it is known. */
  readonly next: readonly Certificate[];
}

/** The certificates alone, with no look at any key. */
export type AuthorityCertificates = Readonly<Record<"root" | "issuing" | "ra", Certificate>> &
  Pick<AuthorityFiles, "next">;

/** Throws ConnectorError `authority-missing`. */
export function readAuthorityCertificates(folder: string): AuthorityCertificates {
  const at = (name: string) => join(folder, name);
  return {
    root: readCertificate(at(AUTHORITY_FILES.root)),
    issuing: readCertificate(at(AUTHORITY_FILES.issuing)),
    ra: readCertificate(at(AUTHORITY_FILES.ra)),
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
  const { root, issuing, ra, next } = readAuthorityCertificates(folder);
  const keyIn = (name: string) => readEncryptedKey(join(folder, name), passphrase);
  const files: AuthorityFiles = {
    folder,
    root,
    issuing: {
      certificate: issuing,
      key: held.issuing ?? keyIn(AUTHORITY_FILES.issuingKey),
    },
    ra: { certificate: ra, key: held.ra ?? keyIn(AUTHORITY_FILES.raKey) },
    next,
  };
  const faults = inconsistencies(files);
  if (faults.length === 0) return files;
  throw new ConnectorError(
    "authority-inconsistent",
    `certification authority in ${folder}: ${faults.join("; ")}`,
  );
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

function inconsistencies({ root, issuing, ra }: AuthorityFiles): string[] {
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
  expect(verifyIssuedBy(issuing.certificate, root), "issuing.pem is not issued by root.pem");
  expect(verifyIssuedBy(ra.certificate, issuing.certificate), "ra.pem is not of issuing.pem");
  const isRsa = ra.certificate.publicKey().asymmetricKeyType === "rsa";
  expect(isRsa, "the RA key is not RSA, which SCEP needs");
  return faults;
}
