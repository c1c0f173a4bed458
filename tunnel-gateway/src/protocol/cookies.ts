import { ProtocolError } from "@isthmus/shared/errors";

/**
 * Cookies of the login (RFC 6265):
 *
 *     webvpn         the session's token
 *     webvpncontext  where a login stands, for clients that send no `opaque` back
 *     webvpnc        hints for AnyConnect: `bu:/&p:t&iu:1/&sh:<hash>&fu:profiles%2F<file>&fh:<hash>`
 */
export const SESSION_COOKIE = "webvpn";
export const LOGIN_COOKIE = "webvpncontext";
const HINTS_COOKIE = "webvpnc";

/** Own limits; what is beyond is not looked at. */
const MAX_COOKIES = 64;
const MAX_VALUE_CHARACTERS = 4_096;

// RFC 6265 section 4.1.1.
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const VALUE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;
/** AnyConnect has always read its hints with more than a cookie may hold: nothing in them is quoted. */
const HINTS = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;

const EXPIRED = "expires=Thu, 01 Jan 1970 22:00:00 GMT";

/** The cookies of all `Cookie` fields; of several with one name the first counts. What is no cookie is left out. */
export function parseCookies(fields: readonly string[]): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  const pairs = fields.flatMap((field) => field.split(";", MAX_COOKIES)).slice(0, MAX_COOKIES);
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const name = pair.slice(0, Math.max(equals, 0)).trim();
    const value = pair.slice(equals + 1).trim();
    const isCookie = NAME.test(name) && VALUE.test(value) && value.length <= MAX_VALUE_CHARACTERS;
    if (isCookie && !cookies.has(name)) cookies.set(name, value);
  }
  return cookies;
}

/** `Set-Cookie` of a session's token. */
export function sessionCookie(token: string): string {
  return `${SESSION_COOKIE}=${checked(token)}; path=/; Secure; HttpOnly`;
}

/** `Set-Cookie` of a login under way. */
export function loginCookie(opaque: string, seconds: number): string {
  return `${LOGIN_COOKIE}=${checked(opaque)}; Max-Age=${Math.trunc(seconds)}; path=/; Secure; HttpOnly`;
}

/** `Set-Cookie` that takes a cookie away; clients that read no attributes take the empty value for that. */
export function expiredCookie(name: string): string {
  return `${name}=; ${EXPIRED}; path=/; Secure; HttpOnly`;
}

/** What AnyConnect is told of the server and of its profile. */
export interface ClientHints {
  /** SHA-1 of the server's certificate, hex. */
  readonly certificateHash: string;
  readonly profile: { readonly file: string; readonly hash: string } | undefined;
}

/** `Set-Cookie` of the hints: first none, since some clients add to what they have, then all. */
export function hintsCookies({ certificateHash, profile }: ClientHints): readonly string[] {
  const hints = [
    `bu:/&p:t&iu:1/&sh:${certificateHash.toUpperCase()}`,
    profile &&
      `&fu:profiles%2F${encodeURIComponent(profile.file)}&fh:${profile.hash.toUpperCase()}`,
  ].join("");
  if (!HINTS.test(hints)) throw new ProtocolError("cookie-value", "a hint is no cookie");
  return [expiredCookie(HINTS_COOKIE), `${HINTS_COOKIE}=${hints}; path=/; Secure; HttpOnly`];
}

function checked(value: string): string {
  if (VALUE.test(value) && value.length <= MAX_VALUE_CHARACTERS) return value;
  throw new ProtocolError("cookie-value", "a token has characters that a cookie may not have");
}
