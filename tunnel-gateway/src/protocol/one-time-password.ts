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

/** A secret in base32, as apps take it: without padding. */
export function encodeOneTimeSecret(secret: Uint8Array): string {
  const bits = [...secret].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => ALPHABET[Number.parseInt(group.padEnd(5, "0"), 2)]).join("");
}

/**
 * The address that apps read from a QR code (github.com/google/google-authenticator/wiki/Key-Uri-Format). A password's digits,
 * seconds and hash stay what every app takes for granted.
 */
export function oneTimeUrl(secret: Uint8Array, issuer: string, userName: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(userName)}`;
  return `otpauth://totp/${label}?secret=${encodeOneTimeSecret(secret)}&issuer=${encodeURIComponent(issuer)}`;
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
 * The step that a password is right for, near `now` (ms since the epoch); undefined for none. The caller remembers the step, so
 * that no password is good twice (RFC 6238 section 5.2).
 */
export function matchOneTimePassword(
  secret: Uint8Array,
  password: string,
  now: number,
): number | undefined {
  const digits = password.replaceAll(/\s/g, "");
  if (!/^[0-9]{6}$/.test(digits)) return undefined;
  const given = Buffer.from(digits);
  const present = Math.floor(now / 1_000 / STEP_SECONDS);
  let match: number | undefined;
  for (let step = Math.max(0, present - WINDOW_STEPS); step <= present + WINDOW_STEPS; step++) {
    if (timingSafeEqual(given, Buffer.from(oneTimePassword(secret, step)))) match = step;
  }
  return match;
}

function notBase32(): ProtocolError {
  const size = `${LEAST_SECRET_BYTES} to ${MOST_SECRET_BYTES} bytes`;
  return new ProtocolError("totp-secret", `a one-time password's secret is base32 of ${size}`);
}
