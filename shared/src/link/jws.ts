import {
  createHash,
  createPublicKey,
  type KeyObject,
  verify as verifySignature,
} from "node:crypto";
import { promisify } from "node:util";
import { CompactSign, decodeProtectedHeader } from "jose";
import { ConnectorError, ProtocolError } from "../errors.ts";
import type { PublicKey } from "./messages.ts";
import { MAX_JWS_BYTES } from "./messages.ts";

/** The only header fields there are; anything else (`crit`, `b64`, `jku`) is refused. */
const HEADER_FIELDS = ["alg", "kid", "typ"];
const ALGORITHM = "EdDSA";

/** RFC 7638 thumbprint (SHA-256, base64url) of an Ed25519 public key: the `kid` of what it signs. */
export function thumbprintOf(key: PublicKey): string {
  const canonical = JSON.stringify({ crv: key.crv, kty: key.kty, x: key.x });
  return createHash("sha256").update(canonical).digest("base64url");
}

/** The public half of an Ed25519 key as JWK. */
export function publicKeyOf(key: KeyObject): PublicKey {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  const { kty, crv, x } = publicKey.export({ format: "jwk" });
  if (kty !== "OKP" || crv !== "Ed25519" || x === undefined) {
    throw new ConnectorError("key-not-ed25519", `key is ${kty} ${crv ?? ""}, expected Ed25519`);
  }
  return { kty, crv, x };
}

/** A compact JWS over the JSON of `payload`, signed with an Ed25519 private key. */
export async function signJws(payload: unknown, typ: string, key: KeyObject): Promise<string> {
  const header = { alg: ALGORITHM, kid: thumbprintOf(publicKeyOf(key)), typ };
  return await new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader(header)
    .sign(key);
}

/**
 * The payload of a compact JWS of type `typ` that one of `keys` signed (EdDSA only, found by `kid`). The bytes are
 * verified before they are parsed. Throws ProtocolError `jws-*`.
 */
export async function verifyJws(
  jws: string,
  typ: string,
  keys: readonly PublicKey[],
): Promise<unknown> {
  const key = keyFor(headerOf(jws), typ, keys);
  const { signed, payload, signature } = partsOf(jws);
  // Not by WebCrypto, as jose does it: a connector verifies a challenge for each certificate, and this costs a fifth less.
  if (!(await verifyOnThreadPool(null, Buffer.from(signed), key, signature))) {
    throw new ProtocolError("jws-signature", `${typ}: signature does not verify`);
  }
  try {
    return JSON.parse(UTF_8.decode(payload));
  } catch (cause) {
    throw new ProtocolError("jws-payload", `${typ}: payload is not JSON`, cause);
  }
}

const UTF_8 = new TextDecoder("utf-8", { fatal: true });
const verifyOnThreadPool = promisify(verifySignature) as (
  algorithm: null,
  data: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
) => Promise<boolean>;

/** RFC 7515 section 3.1: header, payload and signature, each in base64url. */
function partsOf(jws: string) {
  const parts = jws.split(".");
  const [header = "", payload = "", signature = ""] = parts;
  if (parts.length !== 3) throw new ProtocolError("jws-malformed", "not a compact JWS");
  return {
    signed: `${header}.${payload}`,
    payload: Buffer.from(payload, "base64url"),
    signature: Buffer.from(signature, "base64url"),
  };
}

function headerOf(jws: string): Readonly<Record<string, unknown>> {
  if (jws.length > MAX_JWS_BYTES) {
    throw new ProtocolError("jws-too-large", `JWS of ${jws.length} exceeds ${MAX_JWS_BYTES}`);
  }
  // Header and payload are signed as they are written. The signature is not, and its last character has bits to spare: one
  // statement has one form, so that it can be told by its bytes.
  const signature = jws.slice(jws.lastIndexOf(".") + 1);
  if (Buffer.from(signature, "base64url").toString("base64url") !== signature) {
    throw new ProtocolError("jws-malformed", "the signature is not canonical base64url");
  }
  try {
    return { ...decodeProtectedHeader(jws) };
  } catch (cause) {
    throw new ProtocolError("jws-malformed", "not a compact JWS", cause);
  }
}

function keyFor(
  header: Readonly<Record<string, unknown>>,
  typ: string,
  keys: readonly PublicKey[],
): KeyObject {
  const foreign = Object.keys(header).find((field) => !HEADER_FIELDS.includes(field));
  if (foreign !== undefined) {
    throw new ProtocolError("jws-header", "JWS header holds fields other than alg, kid, typ");
  }
  if (header["alg"] !== ALGORITHM) {
    throw new ProtocolError("jws-algorithm", `JWS algorithm is not ${ALGORITHM}`);
  }
  if (header["typ"] !== typ) throw new ProtocolError("jws-type", `JWS type is not ${typ}`);
  const key = keys.map(importedOnce).find(({ kid }) => kid === header["kid"]);
  if (key === undefined) throw new ProtocolError("jws-key", `${typ}: signed by no pinned key`);
  return key.object();
}

interface ImportedKey {
  readonly kid: string;
  readonly object: () => KeyObject;
}

/** Made once per key: a connector verifies every challenge with the same one or two. */
const imported = new WeakMap<PublicKey, ImportedKey>();

function importedOnce(key: PublicKey): ImportedKey {
  const known = imported.get(key);
  if (known !== undefined) return known;
  let object: KeyObject | undefined;
  const made: ImportedKey = {
    kid: thumbprintOf(key),
    object: () => {
      object ??= createPublicKey({ key: { ...key }, format: "jwk" });
      return object;
    },
  };
  imported.set(key, made);
  return made;
}
