import type { KeyObject } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { ImportedPfx } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { type IntendedPurpose, purposeFaults } from "../core/imported-pfx.ts";
import { encryptPfx, type PaddingScheme, sha1Thumbprint } from "../protocol/imported-pfx.ts";
import { identityIn, type Pkcs12Identity } from "../protocol/pkcs12-identity.ts";
import { MAX_PKCS12_BYTES, parsePkcs12 } from "../protocol/pkcs12-reader.ts";
import { readForeignPfx } from "./foreign-pfx.ts";

/** A userPfxCertificate of Microsoft Graph (beta), as it is sent. Times are ISO 8601. */
export interface UserPfxCertificate extends ImportedPfx {
  readonly intendedPurpose: IntendedPurpose;
  readonly startDateTime: string;
  readonly expirationDateTime: string;
  readonly providerName: string;
}

/** The key that the password is encrypted to, and how it is called where the record goes. */
export interface ImportTarget {
  readonly publicKey: KeyObject;
  readonly keyName: string;
  readonly providerName: string;
  readonly paddingScheme: PaddingScheme;
  readonly format: "legacy" | "modern";
}

/**
 * Reads a PFX, holds its certificate against its purpose, and writes it anew for the target. Throws `pfx-unreadable`,
 * `pfx-purpose`, `pkcs12-*`; the message never holds the password.
 */
export async function makeRecord(of: {
  readonly file: string;
  readonly password: string;
  readonly userPrincipalName: string;
  readonly intendedPurpose: IntendedPurpose;
  readonly target: ImportTarget;
  readonly now: number;
}): Promise<UserPfxCertificate> {
  const { file, intendedPurpose, target, userPrincipalName } = of;
  const identity = await readPfxFile(file, of.password);
  const { certificate } = identity;
  const faults = purposeFaults(certificate, intendedPurpose, of.now);
  if (faults.length > 0) {
    const message = `${file}: the certificate is of no use for ${intendedPurpose}: ${faults.join("; ")}`;
    throw new ConnectorError("pfx-purpose", message);
  }
  return {
    thumbprint: sha1Thumbprint(certificate.der),
    intendedPurpose,
    userPrincipalName,
    startDateTime: new Date(certificate.notBefore).toISOString(),
    expirationDateTime: new Date(certificate.notAfter).toISOString(),
    providerName: target.providerName,
    keyName: target.keyName,
    ...(await encryptPfx(identity, target, systemRandom)),
  };
}

/** What people take for a PFX most often. */
const PEM_BEGIN = Buffer.from("-----BEGIN ");

async function readPfxFile(file: string, password: string): Promise<Pkcs12Identity> {
  const { size } = statSync(file);
  if (size > MAX_PKCS12_BYTES) {
    throw new ConnectorError(
      "pfx-unreadable",
      `${file} has ${size} bytes, at most ${MAX_PKCS12_BYTES}`,
    );
  }
  const der = readFileSync(file);
  if (der.subarray(0, PEM_BEGIN.length).equals(PEM_BEGIN)) {
    throw new ConnectorError(
      "pfx-unreadable",
      `${file} is PEM text, not PKCS#12; "openssl pkcs12 -export" makes a PFX of certificate and key`,
    );
  }
  try {
    return identityIn(await parsePkcs12(der, password));
  } catch (error) {
    if (codeOf(error) !== "pkcs12-algorithm") throw error;
    return identityIn(await readForeignPfx(der, password));
  }
}
