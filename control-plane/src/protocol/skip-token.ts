import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import { z } from "zod";

/**
 * The place where the next page begins: the sort values of the last row shown, so that rows inserted or removed meanwhile
 * shift nothing. Signed, so that what reaches the database was written by us, and bound to the query it continues.
 *
 *     base64url(JSON { of: hash of the query, after: [value, ...] }) "." base64url(HMAC-SHA-256)
 */

const content = z.strictObject({
  of: z.string().max(64),
  after: z.array(z.union([z.string(), z.number(), z.null()])).max(8),
});

export type SkipValue = string | number | null;

/** Writes the token that continues `query` (any text that names resource, filter and order) after these sort values. */
export function writeSkipToken(
  key: Uint8Array,
  query: string,
  after: readonly SkipValue[],
): string {
  const body = Buffer.from(JSON.stringify({ of: hashOf(query), after })).toString("base64url");
  return `${body}.${macOf(key, body).toString("base64url")}`;
}

/** Reads a token back; throws ProtocolError `odata-skip-token` unless we wrote it for this very query. */
export function readSkipToken(key: Uint8Array, query: string, token: string): SkipValue[] {
  const [body = "", mac = "", ...rest] = token.split(".");
  const given = Buffer.from(mac, "base64url");
  const expected = macOf(key, body);
  const isOurs =
    rest.length === 0 && given.length === expected.length && timingSafeEqual(given, expected);
  if (!isOurs) throw new ProtocolError("odata-skip-token", "The $skiptoken is none of ours");
  const { of, after } = content.parse(JSON.parse(Buffer.from(body, "base64url").toString()));
  if (of !== hashOf(query)) {
    throw new ProtocolError(
      "odata-skip-token",
      "The $skiptoken continues another query: keep $filter and $orderby as they were",
    );
  }
  return after;
}

function macOf(key: Uint8Array, body: string): Buffer {
  return createHmac("sha256", key).update(`isthmus-skip-token-1.${body}`).digest();
}

function hashOf(query: string): string {
  return createHash("sha256").update(query).digest("base64url");
}
