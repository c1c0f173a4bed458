import {
  createDecipheriv,
  createHash,
  createPrivateKey,
  type JsonWebKey,
  type KeyObject,
  pbkdf2Sync,
  sign,
} from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";
import { z } from "zod";

/** A provisioner's key of step-ca: a private JWK (RFC 7517), alone or encrypted with a password (RFC 7518 section 4.8). */
export interface ProvisionerKey {
  readonly keyId: string;
  /** A compact JWS over these claims. */
  signToken(claims: Readonly<Record<string, unknown>>): string;
}

/** RFC 7518 sections 4.8 and 5.3; others are not written by step-ca. */
const KEY_WRAPS: Readonly<Record<string, { readonly digest: string; readonly bits: number }>> = {
  "PBES2-HS256+A128KW": { digest: "sha256", bits: 128 },
  "PBES2-HS384+A192KW": { digest: "sha384", bits: 192 },
  "PBES2-HS512+A256KW": { digest: "sha512", bits: 256 },
};
const CIPHERS = { A128GCM: "aes-128-gcm", A192GCM: "aes-192-gcm", A256GCM: "aes-256-gcm" } as const;
/** RFC 3394 section 2.2.3.1. */
const KEY_WRAP_IV = Buffer.alloc(8, 0xa6);
const GCM_TAG_OCTETS = 16;

/** Our own limit: step-ca counts 100,000 or 600,000; what is read here costs this much once, at the start. */
const MAX_ITERATIONS = 2_000_000;

const protectedHeader = z.object({
  alg: z.string(),
  enc: z.enum(["A128GCM", "A192GCM", "A256GCM"]),
  p2s: z.string(),
  p2c: z.number().int().min(1_000).max(MAX_ITERATIONS),
});
const flattened = z.object({
  protected: z.string(),
  encrypted_key: z.string(),
  iv: z.string(),
  ciphertext: z.string(),
  tag: z.string(),
});
const privateJwk = z.looseObject({
  kty: z.string(),
  kid: z.string().optional(),
  d: z.string(),
});

type Encrypted = z.infer<typeof flattened>;

/**
 * Reads the content of a key file: a private JWK, or a JWE of one in compact or flattened form. Throws ConnectorError
 * `provisioner-key`, whose message names the fault and nothing of the content.
 */
export function readProvisionerKey(text: string, password: string | undefined): ProvisionerKey {
  const encrypted = encryptedOf(text.trim());
  const json = encrypted === undefined ? text : decrypt(encrypted, password);
  const jwk = parsed(privateJwk, json, "it is neither a private JWK nor an encrypted one");
  const key = importKey(jwk);
  const keyId = jwk.kid ?? thumbprintOf(jwk);
  const algorithm = algorithmOf(key);
  return {
    keyId,
    signToken(claims) {
      const header = { alg: algorithm.name, typ: "JWT", kid: keyId };
      const input = [header, claims].map((part) => base64url(JSON.stringify(part))).join(".");
      const signature = sign(algorithm.digest, Buffer.from(input), {
        key,
        dsaEncoding: "ieee-p1363",
      });
      return `${input}.${signature.toString("base64url")}`;
    },
  };
}

function encryptedOf(text: string): Encrypted | undefined {
  const parts = text.split(".");
  if (parts.length === 5 && parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) {
    const [header = "", key = "", iv = "", ciphertext = "", tag = ""] = parts;
    return { protected: header, encrypted_key: key, iv, ciphertext, tag };
  }
  const result = flattened.safeParse(jsonOf(text));
  return result.success ? result.data : undefined;
}

function decrypt(of: Encrypted, password: string | undefined): string {
  if (password === undefined) throw fault("it is encrypted and there is no passwordFile");
  const headerText = fromBase64url(of.protected).toString("utf8");
  const header = parsed(protectedHeader, headerText, "its encryption is of no kind that is read");
  const wrap = KEY_WRAPS[header.alg];
  if (wrap === undefined) throw fault(`its key encryption ${header.alg} is not supported`);
  const salt = Buffer.concat([Buffer.from(`${header.alg}\0`), fromBase64url(header.p2s)]);
  const wrapping = pbkdf2Sync(password, salt, header.p2c, wrap.bits / 8, wrap.digest);
  try {
    const unwrap = createDecipheriv(`id-aes${wrap.bits}-wrap`, wrapping, KEY_WRAP_IV);
    const wrapped = fromBase64url(of.encrypted_key);
    const contentKey = Buffer.concat([unwrap.update(wrapped), unwrap.final()]);
    return openContent(of, header.enc, contentKey);
  } catch (cause) {
    throw fault("the password does not open it", cause);
  }
}

function openContent(of: Encrypted, enc: keyof typeof CIPHERS, contentKey: Buffer): string {
  const cipher = createDecipheriv(CIPHERS[enc], contentKey, fromBase64url(of.iv), {
    authTagLength: GCM_TAG_OCTETS,
  });
  cipher.setAAD(Buffer.from(of.protected, "ascii"));
  cipher.setAuthTag(fromBase64url(of.tag));
  const content = [cipher.update(fromBase64url(of.ciphertext)), cipher.final()];
  return Buffer.concat(content).toString("utf8");
}

function importKey(jwk: z.infer<typeof privateJwk>): KeyObject {
  try {
    return createPrivateKey({ key: jwk as JsonWebKey, format: "jwk" });
  } catch (cause) {
    throw fault("its key is of no use", cause);
  }
}

/** RFC 7518 section 3.1. RSA without PSS: every version of step-ca takes it. */
function algorithmOf(key: KeyObject): { readonly name: string; readonly digest: string | null } {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === "rsa") return { name: "RS256", digest: "sha256" };
  if (key.asymmetricKeyType === "ed25519") return { name: "EdDSA", digest: null };
  if (curve === "prime256v1") return { name: "ES256", digest: "sha256" };
  if (curve === "secp384r1") return { name: "ES384", digest: "sha384" };
  if (curve === "secp521r1") return { name: "ES512", digest: "sha512" };
  throw fault("its key is of a kind that signs no token here");
}

/** RFC 7638: how step-ca names a key that has no `kid`. */
function thumbprintOf(jwk: Readonly<Record<string, unknown>>): string {
  const members = jwk["kty"] === "RSA" ? ["e", "kty", "n"] : ["crv", "kty", "x", "y"];
  const known = members.filter((member) => jwk[member] !== undefined);
  const canonical = JSON.stringify(Object.fromEntries(known.map((name) => [name, jwk[name]])));
  return createHash("sha256").update(canonical).digest("base64url");
}

function parsed<Output>(schema: z.ZodType<Output>, json: string, message: string): Output {
  const result = schema.safeParse(jsonOf(json));
  if (!result.success) throw fault(message);
  return result.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function base64url(text: string): string {
  return Buffer.from(text).toString("base64url");
}

function fromBase64url(text: string): Buffer {
  return Buffer.from(text, "base64url");
}

function fault(message: string, cause?: unknown): ConnectorError {
  return new ConnectorError("provisioner-key", `the provisioner's key: ${message}`, { cause });
}
