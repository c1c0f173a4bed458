import { randomBytes } from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { integer, sequence } from "@isthmus/shared/x509/der-writer";
import { importPublicKey } from "@isthmus/shared/x509/public-key";
import {
  type SignatureAlgorithm,
  signatureAlgorithmFor,
  verify,
} from "@isthmus/shared/x509/signature";
import type { HeldKey } from "@isthmus/shared/x509/signing-key";
import type { Hsm } from "./hsm.ts";
import type { HsmKeyName } from "./pkcs11-messages.ts";

const PROBE_OCTETS = 32;

/**
 * The key in the token that belongs to a certificate, after it has signed something that the certificate verifies. Throws
 * ConnectorError `hsm-key-mismatch`, and what `Hsm.perform` throws.
 */
export async function keyOfCertificate(
  hsm: Hsm,
  name: HsmKeyName,
  certificate: Certificate,
): Promise<HeldKey> {
  const key = heldKey(hsm, name, certificate.publicKeyInfo);
  if (await signsFor(key)) return key;
  throw new ConnectorError(
    "hsm-key-mismatch",
    `HSM: key ${describe(name)} is not the one of the certificate with serial number ${certificate.serialNumber}`,
  );
}

/** A key in the token whose public half is asked of the token itself. */
export async function keyInToken(hsm: Hsm, name: HsmKeyName): Promise<HeldKey> {
  const publicKeyInfo = await hsm.perform("publicKey", { key: name });
  return heldKey(hsm, name, publicKeyInfo);
}

/** Whether a key signs, and what it signs is right: asks the token for one signature. */
export async function signsFor(key: HeldKey): Promise<boolean> {
  const probe = randomBytes(PROBE_OCTETS);
  const algorithm = signatureAlgorithmFor(key.publicKey);
  const signature = await key.sign(algorithm, probe);
  return verify(algorithm, probe, signature, key.publicKey);
}

/** A key in the token by its name and its SubjectPublicKeyInfo; whether they belong together is not looked at. */
export function heldKey(hsm: Hsm, name: HsmKeyName, publicKeyInfo: Uint8Array): HeldKey {
  const publicKey = importPublicKey(Buffer.from(publicKeyInfo));
  const sign = async ({ scheme, digest }: SignatureAlgorithm, message: Uint8Array) => {
    if (digest === null || (scheme !== "rsa" && scheme !== "ecdsa")) {
      throw new ConnectorError("hsm-mechanism-missing", `HSM: ${scheme} is not signed with there`);
    }
    const signed = await hsm.perform("sign", { key: name, scheme, digest, message });
    return scheme === "rsa" ? Buffer.from(signed) : ecdsaSignature(signed);
  };
  if (publicKey.asymmetricKeyType !== "rsa") return { publicKey, sign };
  const decryptRaw = async (octets: Uint8Array) =>
    Buffer.from(await hsm.perform("decryptRaw", { key: name, octets }));
  return { publicKey, sign, decryptRaw };
}

/** Ecdsa-Sig-Value of the r and s that a token gives side by side (RFC 3279 section 2.2.3). */
export function ecdsaSignature(raw: Uint8Array): Buffer {
  const half = raw.length / 2;
  if (!Number.isInteger(half) || half === 0) {
    throw new ConnectorError("hsm-failed", `HSM: an ECDSA signature of ${raw.length} octets`);
  }
  return sequence(integer(raw.subarray(0, half)), integer(raw.subarray(half)));
}

function describe({ label, id }: HsmKeyName): string {
  return label === undefined ? `with CKA_ID ${id}` : `"${label}"`;
}
