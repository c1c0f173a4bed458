import { scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { ConnectorError } from "@isthmus/shared/errors";

const derive = promisify<string, Buffer, number, ScryptCost, Buffer>(scrypt);

interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly maxmem: number;
}

/** RFC 7914 section 2 for interactive logins: 16 MiB and about 50 ms for each. */
const COST = { N: 16_384, r: 8, p: 1 };
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const MAX_MEMORY_BYTES = 64 * 1_048_576;
/** `scrypt$N$r$p$salt$key`, the last two in base64url. */
const FORM = /^scrypt\$(\d{4,6})\$(\d{1,2})\$(\d)\$([\w-]{22,64})\$([\w-]{43})$/;

/** A password's hash for the users file. `salt` is 16 random bytes. */
export async function hashPassword(password: string, salt: Buffer): Promise<string> {
  if (salt.length !== SALT_BYTES) throw new RangeError(`a salt has ${SALT_BYTES} bytes`);
  const key = await keyOf(password, salt, COST);
  const { N, r, p } = COST;
  return ["scrypt", N, r, p, salt.toString("base64url"), key.toString("base64url")].join("$");
}

/** Whether a password is that of the hash. @throws ConnectorError `password-hash` for what is no hash */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const [, N, r, p, salt = "", key = ""] = FORM.exec(hash) ?? [];
  if (N === undefined) throw new ConnectorError("password-hash", NO_HASH);
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const given = await keyOf(password, Buffer.from(salt, "base64url"), cost);
  return timingSafeEqual(given, Buffer.from(key, "base64url"));
}

/** Whether a text has the form of a hash. */
export function isPasswordHash(text: string): boolean {
  return FORM.test(text);
}

/** Of no password: checking it takes as long as checking a user's, so that names cannot be guessed by the time. */
export const NOBODYS_HASH = `scrypt$${COST.N}$${COST.r}$${COST.p}$${"A".repeat(22)}$${"A".repeat(43)}`;

const NO_HASH = "expected scrypt$N$r$p$salt$key, as `tunnel-gateway hash-password` prints it";

function keyOf(password: string, salt: Buffer, cost: Omit<ScryptCost, "maxmem">): Promise<Buffer> {
  return derive(password, salt, KEY_BYTES, { ...cost, maxmem: MAX_MEMORY_BYTES });
}
