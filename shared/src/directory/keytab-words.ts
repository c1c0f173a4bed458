import type { KeytabKey } from "./keytab.ts";

/** aes128-cts-hmac-sha1-96 and its relatives (RFC 3962, RFC 8009): all that domains of today take. */
const AES = [17, 18, 19, 20];
/** Own limit on what is repeated. */
const MAX_NAMED = 5;

/** Why these keys cannot be those of the account, whatever the KDC says; undefined where they may be. */
export function keysFault(keys: readonly KeytabKey[], principal: string): string | undefined {
  const own = keys.filter((key) => key.principal === principal);
  if (own.some(({ keyType }) => AES.includes(keyType))) return undefined;
  if (own.length > 0) {
    return `the keytab has no AES key of ${principal}, only key types ${listed(own.map(({ keyType }) => String(keyType)))}: let the account have AES (msDS-SupportedEncryptionTypes 24) and make the keytab anew with AES256-SHA1`;
  }
  const [first] = keys;
  if (first === undefined) return `the keytab has no key: make it anew for ${principal}`;
  const alike = keys.find((key) => key.principal.toLowerCase() === principal.toLowerCase());
  if (alike !== undefined) {
    return `the keytab is for ${alike.principal}, which differs from ${principal} by capitals alone, and these count: write one of them as the other, the realm in capitals`;
  }
  const name = principal.replace(/@[^@]*$/, "");
  const elsewhere = keys.find((key) => key.principal.startsWith(`${name}@`));
  const others = listed(keys.map((key) => key.principal));
  const what = elsewhere === undefined ? "account" : "realm";
  return `the keytab has keys of ${others} and none of ${principal}: name the ${what} that it is for in the principal, or make it anew`;
}

/** What the account's key has to be for these to fit: most often its password was changed since. */
export function keysRemedy(keys: readonly KeytabKey[], principal: string): string {
  const own = keys.filter((key) => key.principal === principal);
  const numbers = listed(own.map(({ keyNumber }) => String(keyNumber)));
  return `the keytab has key number ${numbers} of ${principal}: where the account's msDS-KeyVersionNumber is another, its password was changed after the keytab was made, which has to be made anew`;
}

function listed(all: readonly string[]): string {
  const each = [...new Set(all)];
  const left = each.length - MAX_NAMED;
  const shown = each.slice(0, MAX_NAMED).join(", ");
  return left <= 0 ? shown : `${shown} and ${left} more`;
}
