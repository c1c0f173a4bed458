import type { Random } from "@isthmus/shared/random";
import { z } from "zod";

/** Our own limits. */
export const DEFAULT_CHALLENGE_MINUTES = 60;
export const MAX_CHALLENGE_MINUTES = 7 * 24 * 60;
const MAX_SUBJECT_ALT_NAMES = 20;
const MAX_ATTRIBUTES = 20;
const CHALLENGE_ID_BYTES = 16;

const identifier = z.string().min(1).max(128);

/** A name that the certificate signing request has to carry, and no other beside them. */
export const challengeAltName = z.strictObject({
  type: z.enum(["uri", "dns", "email", "upn"]),
  value: z.string().min(1).max(512),
});

/** What a challenge permits: one certificate with these names, for this device, by this profile. */
const permission = z.strictObject({
  profileId: identifier,
  deviceId: identifier,
  userPrincipalName: z.string().min(1).max(256).optional(),
  /** RFC 4514, e.g. `CN=laptop-7`. */
  subject: z.string().min(1).max(1024),
  subjectAltNames: z.array(challengeAltName).max(MAX_SUBJECT_ALT_NAMES).default([]),
  /** What the profile's templates may ask for beside these, by the name of the variable: `{ "SerialNumber": "5CG1" }`. */
  attributes: z
    .record(z.string().regex(/^[A-Za-z_]{1,64}$/), z.string().min(1).max(256))
    .refine((attributes) => Object.keys(attributes).length <= MAX_ATTRIBUTES, "too many attributes")
    .optional(),
});

/** What an administrator asks for. */
export const scepChallengeRequest = permission.extend({
  /** The cert-connector that may honour it; `any` where several share the profile. */
  connectorId: identifier.default("any"),
  validityMinutes: z
    .number()
    .int()
    .min(1)
    .max(MAX_CHALLENGE_MINUTES)
    .default(DEFAULT_CHALLENGE_MINUTES),
});
export type ScepChallengeRequest = z.infer<typeof scepChallengeRequest>;

/** The signed statement that a device hands in as its challengePassword (compact JWS). Times are ms since the epoch. */
export const scepChallenge = permission.extend({
  /** Unique: a connector honours it once. */
  jti: identifier,
  aud: identifier,
  iat: z.number().int(),
  exp: z.number().int(),
});
export type ScepChallenge = z.infer<typeof scepChallenge>;

/** Turns a request into the statement to sign; it expires `validityMinutes` after `now`. */
export function challengeFor(
  request: ScepChallengeRequest,
  now: number,
  random: Random,
): ScepChallenge {
  const { connectorId, validityMinutes, ...permitted } = request;
  return {
    ...permitted,
    jti: random.bytes(CHALLENGE_ID_BYTES).toString("base64url"),
    aud: connectorId,
    iat: now,
    exp: now + validityMinutes * 60_000,
  };
}
