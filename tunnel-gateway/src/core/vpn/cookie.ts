import { hash } from "node:crypto";
import type { Random } from "@isthmus/shared/random";

const COOKIE_BYTES = 32;

/** A session's cookie: 256 random bits in characters that a cookie may have. */
export function newCookie(random: Random): string {
  return random.bytes(COOKIE_BYTES).toString("base64url");
}

/** What is kept of a cookie. It has all its entropy, so that the hash needs no salt, and finding it by the hash tells nothing. */
export function tokenHashOf(cookie: string): string {
  return hash("sha256", cookie, "hex");
}
