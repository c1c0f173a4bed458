import {
  constants,
  createHash,
  createPrivateKey,
  type KeyObject,
  sign,
  X509Certificate,
} from "node:crypto";
import { readFileSync } from "node:fs";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { type Random, randomGuid } from "@isthmus/shared/random";
import type { TenantCredential } from "./tenant-settings.ts";

/** Entra ID takes up to a day; a short life leaves little to whoever reads one in transit. */
const LIFETIME_S = 600;

type CertificateCredential = Extract<TenantCredential, { kind: "certificate" }>;

/**
 * A JWT that proves a client by the key of its certificate (RFC 7523; Microsoft identity platform, "certificate
 * credentials"): `x5t` and `x5t#S256` name the certificate that is registered with the application.
 *
 * Throws ConnectorError `intune-credential` where certificate and key cannot be read or do not belong together.
 */
export function clientAssertion(of: {
  readonly credential: CertificateCredential;
  readonly clientId: string;
  /** The token endpoint. */
  readonly audience: string;
  readonly clock: Clock;
  readonly random: Random;
}): string {
  const { certificate, key } = readCertificateCredential(of.credential);
  const { algorithm } = of.credential;
  const digest = (name: "sha1" | "sha256") =>
    createHash(name).update(certificate.raw).digest("base64url");
  const header = { alg: algorithm, typ: "JWT", x5t: digest("sha1"), "x5t#S256": digest("sha256") };
  const now = Math.floor(of.clock.now() / 1_000);
  const claims = {
    aud: of.audience,
    iss: of.clientId,
    sub: of.clientId,
    jti: randomGuid(of.random),
    iat: now,
    nbf: now,
    exp: now + LIFETIME_S,
  };
  const signed = [header, claims].map((part) => base64url(JSON.stringify(part))).join(".");
  const padding =
    algorithm === "PS256"
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : { padding: constants.RSA_PKCS1_PADDING };
  const signature = sign("sha256", Buffer.from(signed), { key, ...padding });
  return `${signed}.${signature.toString("base64url")}`;
}

/** Reads certificate and key. Throws ConnectorError `intune-credential`. */
export function readCertificateCredential(credential: CertificateCredential): {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
} {
  const { certificateFile, keyFile } = credential;
  const certificate = orFault(
    `certificate ${certificateFile} cannot be read`,
    () => new X509Certificate(readFileSync(certificateFile)),
  );
  const key = orFault(`key ${keyFile} cannot be opened`, () => readKey(credential));
  if (key.asymmetricKeyType !== "rsa") throw fault(`key ${keyFile} is not an RSA key`);
  if (!certificate.checkPrivateKey(key)) {
    throw fault(`key ${keyFile} does not belong to certificate ${certificateFile}`);
  }
  return { certificate, key };
}

function readKey({ keyFile, passphraseFile }: CertificateCredential): KeyObject {
  const key = readFileSync(keyFile);
  if (passphraseFile === undefined) return createPrivateKey(key);
  return createPrivateKey({ key, passphrase: readSecretFile(passphraseFile) });
}

function orFault<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw fault(what, cause);
  }
}

function fault(what: string, cause?: unknown): ConnectorError {
  return new ConnectorError("intune-credential", `client certificate: ${what}`, { cause });
}

function base64url(text: string): string {
  return Buffer.from(text).toString("base64url");
}
