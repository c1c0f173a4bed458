import { scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { ConnectorError } from "@isthmus/shared/errors";

const derive = promisify<string, Buffer, number, ScryptCost & { maxmem: number }, Buffer>(scrypt);

interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** RFC 7914 section 2 for interactive logins: 16 MiB and about 50 ms for each. */
const COST = { N: 16_384, r: 8, p: 1 };
const KEY_BYTES = 32;
const SALT_BYTES = 16;
/** Own limits: what checking one password may take; `N * r * p` is 131,072 for our own cost. */
const MAX_MEMORY_BYTES = 64 * 1_048_576;
const MAX_WORK = 1_048_576;
/** `scrypt$N$r$p$salt$key`, the last two in base64url. */
const FORM = /^scrypt\$(\d{4,6})\$(\d{1,2})\$(\d)\$([\w-]{22,64})\$([\w-]{43})$/;

/** A password's hash for the users file. `salt` is 16 random bytes. */
export async function hashPassword(password: string, salt: Buffer): Promise<string> {
  if (salt.length !== SALT_BYTES) throw new RangeError(`a salt has ${SALT_BYTES} bytes`);
  return written(COST, salt, await keyOf(password, salt, COST));
}

/** Whether a password is that of the hash. @throws ConnectorError `password-hash` for what is no hash */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const parsed = parse(hash);
  if (!parsed) throw new ConnectorError("password-hash", NO_HASH);
  return timingSafeEqual(await keyOf(password, parsed.salt, parsed.cost), parsed.key);
}

/** Whether a text is a hash that may be checked. */
export function isPasswordHash(text: string): boolean {
  return parse(text) !== undefined;
}

/**
 * Of no password. Checking it takes as long as checking `like`, so that names cannot be guessed by the time; without one as long
 * as our own hashes take.
 */
export function nobodysHash(like?: string): string {
  const cost = (like === undefined ? undefined : parse(like)?.cost) ?? COST;
  return written(cost, Buffer.alloc(SALT_BYTES), Buffer.alloc(KEY_BYTES));
}

export const NO_HASH =
  "expected scrypt$N$r$p$salt$key, as `tunnel-gateway hash-password` prints it";

interface ParsedHash {
  readonly cost: ScryptCost;
  readonly salt: Buffer;
  readonly key: Buffer;
}

function parse(hash: string): ParsedHash | undefined {
  const [, ...fields] = FORM.exec(hash) ?? [];
  const [N = 0, r = 0, p = 0] = fields.slice(0, 3).map(Number);
  const isPower = N > 1 && (N & (N - 1)) === 0;
  const isBounded = 128 * N * r <= MAX_MEMORY_BYTES && N * r * p <= MAX_WORK;
  if (!isPower || r === 0 || p === 0 || !isBounded) return undefined;
  const [salt, key] = fields.slice(3).map((text) => Buffer.from(text, "base64url"));
  return salt && key && { cost: { N, r, p }, salt, key };
}

function written({ N, r, p }: ScryptCost, salt: Buffer, key: Buffer): string {
  return ["scrypt", N, r, p, salt.toString("base64url"), key.toString("base64url")].join("$");
}

function keyOf(password: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> {
  // What OpenSSL counts is a little more than 128 * N * r.
  return derive(password, salt, KEY_BYTES, { ...cost, maxmem: 2 * MAX_MEMORY_BYTES });
}
