import { z } from "zod";

/** What may be asked of the signer over its socket, each in a frame of `length-prefixed.ts`. There is nothing else. */

const id = z.number().int().min(1);

export const signerRequest = z.discriminatedUnion("type", [
  /** The public half of the key in force. */
  z.strictObject({ type: z.literal("tenantKey"), id }),
  /** A statement to sign; its schema and the rules are those of `core/signing-rules.ts`. */
  z.strictObject({
    type: z.literal("sign"),
    id,
    kind: z.enum(["command", "configuration", "auditHead", "challenge", "enrolment"]),
    statement: z.unknown(),
  }),
  /** Makes the next tenant key, unless one waits already, and a statement about it signed by the one in force. */
  z.strictObject({ type: z.literal("prepareRotation"), id }),
  /** Puts the next tenant key, which the request names, in force. */
  z.strictObject({ type: z.literal("completeRotation"), id, x: z.string().max(64) }),
]);
export type SignerRequest = z.infer<typeof signerRequest>;

const tenantKey = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});

/** The answers come in any order and carry the request's id; 0 where the request had none that could be read. */
export const signerAnswer = z.discriminatedUnion("ok", [
  z.object({
    ok: z.literal(true),
    id,
    jws: z.string().optional(),
    tenantKey: tenantKey.optional(),
  }),
  z.object({
    ok: z.literal(false),
    id: z.number().int().min(0),
    code: z.string(),
    message: z.string(),
    /** The rule that refused it, where one did. */
    rule: z.string().optional(),
    isRetryable: z.boolean(),
  }),
]);
export type SignerAnswer = z.infer<typeof signerAnswer>;
