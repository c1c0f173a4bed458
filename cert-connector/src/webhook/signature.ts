import { createHmac } from "node:crypto";

/** Standard Webhooks 1.0.0: a secret with this prefix is base64, any other is taken as it is. */
const SECRET_PREFIX = "whsec_";

/**
 * The headers that prove a message (Standard Webhooks 1.0.0): HMAC-SHA256 over `<id>.<timestamp>.<body>`, so that neither
 * can be put to another. The timestamp is in seconds.
 */
export function signatureHeaders(of: {
  readonly id: string;
  readonly at: number;
  readonly body: string;
  readonly secret: string;
}): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(of.at / 1_000));
  const signature = createHmac("sha256", keyOf(of.secret))
    .update(`${of.id}.${timestamp}.${of.body}`)
    .digest("base64");
  return {
    "webhook-id": of.id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`,
  };
}

function keyOf(secret: string): Buffer {
  return secret.startsWith(SECRET_PREFIX)
    ? Buffer.from(secret.slice(SECRET_PREFIX.length), "base64")
    : Buffer.from(secret, "utf8");
}
