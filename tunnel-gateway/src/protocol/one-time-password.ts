import { createHmac, timingSafeEqual } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";

/** RFC 6238 section 4: the step and start that every authenticator app has. */
const STEP_SECONDS = 30;
const DIGITS = 6;
/** RFC 6238 section 5.2: one step either way for delay and drift. */
const WINDOW_STEPS = 1;
/** Our own; RFC 4226 section 4 asks for 16 octets, apps are given 20. */
const LEAST_SECRET_BYTES = 10;
const MOST_SECRET_BYTES = 128;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Reads a shared secret in base32 (RFC 4648 section 6), in either case, with or without padding and spaces. */
export function parseOneTimeSecret(text: string): Buffer {
  const letters = text.replaceAll(/[\s-]/g, "").replace(/=+$/, "").toUpperCase();
  if (!/^[A-Z2-7]+$/.test(letters)) throw notBase32();
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const letter of letters) {
    value = ((value << 5) | ALPHABET.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >> bits) & 0xff);
  }
  if (bytes.length < LEAST_SECRET_BYTES || bytes.length > MOST_SECRET_BYTES) throw notBase32();
  return Buffer.from(bytes);
}

/** The password of a step (RFC 4226 section 5.3), SHA-1 as every app computes it. */
export function oneTimePassword(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac("sha1", secret).update(counter).digest();
  const offset = (digest.at(-1) ?? 0) & 0xf;
  const truncated = digest.readUInt32BE(offset) & 0x7fffffff;
  return `${truncated % 10 ** DIGITS}`.padStart(DIGITS, "0");
}

/**
 * The step that a password is right for, near `now` (ms since the epoch) and later than `lastStep`; undefined for none. The
 * caller keeps the step, so that no password is good twice (RFC 6238 section 5.2).
 */
export function matchOneTimePassword(
  secret: Uint8Array,
  password: string,
  now: number,
  lastStep: number,
): number | undefined {
  const present = Math.floor(now / 1_000 / STEP_SECONDS);
  const given = Buffer.from(
    password
      .replaceAll(/\s/g, "")
      .slice(0, 2 * DIGITS)
      .padEnd(2 * DIGITS),
  );
  let match: number | undefined;
  for (let step = present - WINDOW_STEPS; step <= present + WINDOW_STEPS; step++) {
    const expected = Buffer.from(oneTimePassword(secret, step).padEnd(2 * DIGITS));
    if (timingSafeEqual(given, expected) && step > lastStep) match = step;
  }
  return match;
}

function notBase32(): ProtocolError {
  const size = `${LEAST_SECRET_BYTES} to ${MOST_SECRET_BYTES} bytes`;
  return new ProtocolError("totp-secret", `a one-time password's secret is base32 of ${size}`);
}
