import { constants, type KeyObject, sign as signCallback, verify as verifySync } from "node:crypto";
import { promisify } from "node:util";
import { ProtocolError } from "../errors.ts";
import { DerReader } from "./der-reader.ts";
import { nullValue, objectIdentifier, sequence } from "./der-writer.ts";
import { OID } from "./object-identifiers.ts";
import { isHeld, type SigningKey } from "./signing-key.ts";

/** A signature algorithm as AlgorithmIdentifier and as node:crypto knows it. */
export interface SignatureAlgorithm {
  readonly oid: string;
  /** The AlgorithmIdentifier. */
  readonly der: Buffer;
  /** Null for Ed25519, which has its own. */
  readonly digest: "sha1" | "sha256" | "sha384" | "sha512" | null;
  readonly scheme: "rsa" | "rsa-pss" | "ecdsa" | "ed25519";
}

function rsa(oid: string, digest: SignatureAlgorithm["digest"]): SignatureAlgorithm {
  return { oid, der: sequence(objectIdentifier(oid), nullValue()), digest, scheme: "rsa" };
}

function ecdsa(oid: string, digest: SignatureAlgorithm["digest"]): SignatureAlgorithm {
  return { oid, der: sequence(objectIdentifier(oid)), digest, scheme: "ecdsa" };
}

/** All that we sign with and verify by default (RFC 4055, 5758, 8410). */
export const SIGNATURE = {
  sha256WithRSA: rsa(OID.sha256WithRSAEncryption, "sha256"),
  sha384WithRSA: rsa(OID.sha384WithRSAEncryption, "sha384"),
  sha512WithRSA: rsa(OID.sha512WithRSAEncryption, "sha512"),
  ecdsaWithSHA256: ecdsa(OID.ecdsaWithSHA256, "sha256"),
  ecdsaWithSHA384: ecdsa(OID.ecdsaWithSHA384, "sha384"),
  ecdsaWithSHA512: ecdsa(OID.ecdsaWithSHA512, "sha512"),
  ed25519: {
    oid: OID.ed25519,
    der: sequence(objectIdentifier(OID.ed25519)),
    digest: null,
    scheme: "ed25519",
  },
} as const satisfies Record<string, SignatureAlgorithm>;

/** Broken for certificates since 2017; only old SCEP clients still sign their own messages with it. */
export const SHA1_WITH_RSA: SignatureAlgorithm = rsa(OID.sha1WithRSAEncryption, "sha1");

const ALLOWED: ReadonlyMap<string, SignatureAlgorithm> = new Map(
  Object.values(SIGNATURE).map((algorithm) => [algorithm.oid, algorithm]),
);

export interface VerifyOptions {
  /** Also take SHA-1 with RSA. */
  readonly allowSha1?: boolean;
}

/**
 * The algorithm of an AlgorithmIdentifier. Throws `x509-signature-algorithm` for one that is not on the list: an unknown,
 * a broken one, or parameters that do not belong there.
 */
export function parseSignatureAlgorithm(
  der: Buffer,
  options: VerifyOptions = {},
): SignatureAlgorithm {
  const outer = new DerReader(der);
  const body = outer.enter();
  outer.end();
  const oid = body.readObjectIdentifier();
  if (oid === OID.rsassaPss) return { oid, der, digest: pssDigest(body), scheme: "rsa-pss" };
  const algorithm =
    ALLOWED.get(oid) ??
    (oid === SHA1_WITH_RSA.oid && options.allowSha1 ? SHA1_WITH_RSA : undefined);
  if (algorithm === undefined) throw fault(`${oid} is not allowed`);
  // RFC 4055 section 5 wants NULL for RSA; some writers leave it out, and both are the same algorithm.
  if (algorithm.scheme === "rsa" && !body.isAtEnd) body.readNull();
  if (!body.isAtEnd) throw fault(`${oid} has parameters`);
  return algorithm;
}

const PSS_DIGESTS: Readonly<Record<string, "sha256" | "sha384" | "sha512">> = {
  [OID.sha256]: "sha256",
  [OID.sha384]: "sha384",
  [OID.sha512]: "sha512",
};

/** RSASSA-PSS-params (RFC 4055 section 3.1): the digest must be named, be no SHA-1, and be that of MGF1 too. */
function pssDigest(body: DerReader): "sha256" | "sha384" | "sha512" {
  const parameters = body.enter();
  const digestOid = parameters.enterOptional(0xa0)?.enter().readObjectIdentifier();
  const mask = parameters.enterOptional(0xa1)?.enter();
  const isMgf1 = mask?.readObjectIdentifier() === OID.mgf1;
  const maskDigestOid = isMgf1 ? mask?.enter().readObjectIdentifier() : undefined;
  const digest = PSS_DIGESTS[digestOid ?? ""];
  if (digest === undefined || digestOid !== maskDigestOid) {
    throw fault("RSASSA-PSS with these parameters is not allowed");
  }
  return digest;
}

/**
 * The algorithm to sign with by this key: SHA-256 with RSA and P-256, SHA-384 with P-384, SHA-512 with P-521, Ed25519.
 * Throws `x509-signature-algorithm` for any other key.
 */
export function signatureAlgorithmFor(signingKey: SigningKey): SignatureAlgorithm {
  const key = isHeld(signingKey) ? signingKey.publicKey : signingKey;
  switch (key.asymmetricKeyType) {
    case "rsa":
      return SIGNATURE.sha256WithRSA;
    case "ec":
      return ecdsaFor(key.asymmetricKeyDetails?.namedCurve);
    case "ed25519":
      return SIGNATURE.ed25519;
    default:
      throw fault(`a key of type ${key.asymmetricKeyType} cannot sign here`);
  }
}

function ecdsaFor(curve: string | undefined): SignatureAlgorithm {
  if (curve === "prime256v1") return SIGNATURE.ecdsaWithSHA256;
  if (curve === "secp384r1") return SIGNATURE.ecdsaWithSHA384;
  if (curve === "secp521r1") return SIGNATURE.ecdsaWithSHA512;
  throw fault(`curve ${curve} is not supported`);
}

const signOnThreadPool = promisify(signCallback);

/**
 * Signs on the thread pool of libuv, so that the event loop goes on, or has it signed where the key is held. Rejects with
 * `x509-signature-algorithm` for a key of another type than the algorithm's.
 */
export async function sign(
  algorithm: SignatureAlgorithm,
  message: Uint8Array,
  signingKey: SigningKey,
): Promise<Buffer> {
  const key = isHeld(signingKey) ? signingKey.publicKey : signingKey;
  if (!isOfKeyType(algorithm, key)) {
    throw fault(`a key of type ${key.asymmetricKeyType} cannot sign with ${algorithm.oid}`);
  }
  if (isHeld(signingKey)) return await signingKey.sign(algorithm, message);
  return await signOnThreadPool(algorithm.digest, message, keyInput(algorithm, key));
}

/**
 * Whether the signature is right. False also for an algorithm that is not allowed or not of this key's type: nothing that
 * a peer sends makes this throw.
 */
export function verify(
  algorithm: SignatureAlgorithm | Buffer,
  message: Uint8Array,
  signature: Uint8Array,
  publicKey: KeyObject,
): boolean {
  try {
    const known = Buffer.isBuffer(algorithm) ? parseSignatureAlgorithm(algorithm) : algorithm;
    if (!isOfKeyType(known, publicKey)) return false;
    return verifySync(known.digest, message, keyInput(known, publicKey), signature);
  } catch {
    return false;
  }
}

function isOfKeyType({ scheme }: SignatureAlgorithm, key: KeyObject): boolean {
  const type = key.asymmetricKeyType;
  if (scheme === "rsa-pss") return type === "rsa" || type === "rsa-pss";
  return scheme === "ecdsa" ? type === "ec" : type === scheme;
}

function keyInput({ scheme }: SignatureAlgorithm, key: KeyObject) {
  if (scheme !== "rsa-pss") return key;
  const saltLength = constants.RSA_PSS_SALTLEN_AUTO;
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-signature-algorithm", `signature algorithm: ${message}`);
}
