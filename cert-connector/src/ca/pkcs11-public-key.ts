import { DerReader } from "@isthmus/shared/x509/der-reader";
import {
  bitString,
  integer,
  nullValue,
  objectIdentifier,
  sequence,
} from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { type Handle, type Library, type Module, Pkcs11Fault } from "./pkcs11-module.ts";

/** Of an uncompressed point on P-256, P-384 and P-521; in an OCTET STRING it is longer by two or three. */
const BARE_POINT_OCTETS: readonly number[] = [65, 97, 133];

type Parts = { readonly library: Library; readonly module: Module };

/** CKA_KEY_TYPE. */
export function readKeyKind(parts: Parts, session: Handle, object: Handle): number {
  const [kind] = readAttributes(parts, session, object, [parts.library.CKA_KEY_TYPE]);
  return kind === undefined ? Number.NaN : kind.readUIntLE(0, Math.min(kind.length, 6));
}

/**
 * SubjectPublicKeyInfo of a key in the token. `object` is the public key, or for RSA the private one, which holds modulus
 * and public exponent too. Throws Pkcs11Fault `hsm-key-kind` for what is neither RSA nor EC.
 */
export function readPublicKey(parts: Parts, session: Handle, object: Handle): Buffer {
  const { library } = parts;
  const two = (one: number, other: number) =>
    readAttributes(parts, session, object, [one, other]) as [Buffer, Buffer];
  switch (readKeyKind(parts, session, object)) {
    case library.CKK_RSA:
      return rsaKeyInfo(...two(library.CKA_MODULUS, library.CKA_PUBLIC_EXPONENT));
    case library.CKK_EC:
      return ecKeyInfo(...two(library.CKA_EC_PARAMS, library.CKA_EC_POINT));
    default:
      throw new Pkcs11Fault("hsm-key-kind", "the key in the token is neither RSA nor EC");
  }
}

function readAttributes(
  { module }: Parts,
  session: Handle,
  object: Handle,
  types: readonly number[],
): Buffer[] {
  const template = types.map((type) => ({ type }));
  const read = module.C_GetAttributeValue(session, object, template);
  return read.map(({ value }) => value as Buffer);
}

function rsaKeyInfo(modulus: Buffer, exponent: Buffer): Buffer {
  const key = sequence(integer(modulus), integer(exponent));
  return sequence(sequence(objectIdentifier(OID.rsaEncryption), nullValue()), bitString(key));
}

/** `curve` is an OBJECT IDENTIFIER in DER; the point is in an OCTET STRING, or bare with tokens that read the standard so. */
function ecKeyInfo(curve: Buffer, point: Buffer): Buffer {
  return sequence(sequence(objectIdentifier(OID.ecPublicKey), curve), bitString(barePoint(point)));
}

function barePoint(point: Buffer): Buffer {
  const bare = BARE_POINT_OCTETS.includes(point.length)
    ? point
    : new DerReader(point).readOctetString();
  if (BARE_POINT_OCTETS.includes(bare.length)) return bare;
  throw new Pkcs11Fault("hsm-key-kind", "the token gives its EC point in no known form");
}
