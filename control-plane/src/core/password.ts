import { createHash, scrypt, timingSafeEqual } from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";

/** scrypt (RFC 7914 section 2); `maxmem` has to exceed 128 * N * r bytes. */
export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly maxmem: number;
}

/** What OWASP's password storage cheat sheet names beside N=2^17, p=1: the same work in a quarter of the memory. */
const COST: ScryptCost = { N: 32_768, r: 8, p: 3, maxmem: 64 * 1024 * 1024 };
const SALT_BYTES = 16;
const KEY_BYTES = 32;
const STORED = /^scrypt1\$([A-Za-z0-9_-]{22})\$([A-Za-z0-9_-]{43})$/;

/** Our own limits. */
export const MIN_PASSWORD_CHARACTERS = 12;
export const MAX_PASSWORD_CHARACTERS = 256;
/** Each check in progress holds 32 MiB; what waits holds nothing. */
export const MAX_CHECKS_IN_PROGRESS = 2;
export const MAX_CHECKS_WAITING = 32;

/** Hashes and checks passwords, a bounded number at a time. */
export class Passwords {
  readonly #random: Random;
  readonly #cost: ScryptCost;
  readonly #waiting: (() => void)[] = [];
  #inProgress = 0;

  constructor(random: Random, cost: ScryptCost = COST) {
    this.#random = random;
    this.#cost = cost;
  }

  /** The text to store for a password: `scrypt1$salt$key`, base64url. */
  async hash(password: string): Promise<string> {
    const salt = this.#random.bytes(SALT_BYTES);
    const key = await this.#derive(password, salt);
    return `scrypt1$${salt.toString("base64url")}$${key.toString("base64url")}`;
  }

  /**
   * Whether the password is the one stored. Without a stored one it takes as long and answers false, so that time does not
   * tell which accounts exist. Throws `too-many-logins` (retryable) when too many checks wait.
   */
  async isCorrect(password: string, stored: string | undefined): Promise<boolean> {
    const [, salt, key] = STORED.exec(stored ?? "") ?? [];
    const derived = await this.#derive(password, Buffer.from(salt ?? "", "base64url"));
    return key !== undefined && timingSafeEqual(derived, Buffer.from(key, "base64url"));
  }

  async #derive(password: string, salt: Buffer): Promise<Buffer> {
    await this.#enter();
    try {
      return await derive(password, salt, this.#cost);
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#inProgress < MAX_CHECKS_IN_PROGRESS) {
      this.#inProgress += 1;
      return;
    }
    if (this.#waiting.length >= MAX_CHECKS_WAITING) {
      throw new ConnectorError("too-many-logins", "Too many logins are being checked", {
        isRetryable: true,
      });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Hands the place on to whoever waits longest, so that nobody who comes in between takes it too. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inProgress -= 1;
    else next();
  }
}

function derive(password: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> {
  // A digest first, so that the length of the password costs nothing in scrypt.
  const digest = createHash("sha512").update(password.normalize("NFKC")).digest();
  return new Promise((resolve, reject) => {
    scrypt(digest, salt, KEY_BYTES, cost, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** Refuses a password that is too short or too long; `weak-password`. */
export function checkPasswordLength(password: string): void {
  const { length } = password;
  if (length >= MIN_PASSWORD_CHARACTERS && length <= MAX_PASSWORD_CHARACTERS) return;
  throw new ConnectorError(
    "weak-password",
    `A password has ${MIN_PASSWORD_CHARACTERS} to ${MAX_PASSWORD_CHARACTERS} characters, this one ${length}`,
  );
}
