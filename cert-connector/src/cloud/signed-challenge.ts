import { ProtocolError, RefusalError } from "@isthmus/shared/errors";
import { orderedAltNames } from "@isthmus/shared/link/messages";
import { z } from "zod";
import type { Grant } from "../core/grant.ts";
import type { ChallengeVerifier } from "../core/ports.ts";
import type { Profile } from "../core/profile.ts";

/** Our own limit on how long a challenge may live. */
export const MAX_LIFETIME_MS = 7 * 86_400_000;
/** Clocks of the signer and of this machine may differ by this much. */
const CLOCK_TOLERANCE_MS = 300_000;

/** What a challenge signs: who the certificate is for. Times are ms since the epoch. */
export const challengePayload = z.object({
  jti: z.string().min(1).max(128),
  /** The connector it is for, or `any` of the tenant. */
  aud: z.string().min(1).max(128),
  profileId: z.string().min(1).max(128),
  deviceId: z.string().min(1).max(128),
  userPrincipalName: z.string().min(1).max(256).optional(),
  /** RFC 4514. */
  subject: z.string().min(1).max(1_024).optional(),
  subjectAltNames: orderedAltNames,
  /** Further variables of templates, e.g. `SerialNumber`. A security identifier is none of them. */
  attributes: z
    .record(z.string().regex(/^[A-Za-z_]{1,64}$/), z.string().min(1).max(256))
    .refine((attributes) => Object.keys(attributes).length <= 20, "more than 20 attributes")
    .optional(),
  iat: z.number(),
  exp: z.number(),
});
export type ChallengePayload = z.infer<typeof challengePayload>;

/**
 * A challenge that whoever manages the device has signed: one-time, for one profile and one device, until it expires.
 * `verify` returns the payload of a JWS whose signature and type it checked; it throws ProtocolError or RefusalError.
 */
export function signedChallenge(
  verify: (jws: string) => Promise<unknown>,
  connectorId: string,
): ChallengeVerifier {
  return {
    verify: async ({ challengePassword, profile, requestedCommonName, now }) => {
      if (challengePassword === undefined || challengePassword === "") {
        throw refusal("missing", "The request carries no challenge");
      }
      const payload = await payloadOf(challengePassword, verify);
      refuseForeign(payload, connectorId, profile);
      refuseOutOfTime(payload, now);
      return grantOf(payload, requestedCommonName);
    },
  };
}

async function payloadOf(
  jws: string,
  verify: (jws: string) => Promise<unknown>,
): Promise<ChallengePayload> {
  const payload = await verify(jws).catch((error: unknown) => {
    if (error instanceof ProtocolError || error instanceof RefusalError) {
      throw refusal("invalid", "The challenge is not signed by a key that this connector trusts");
    }
    throw error;
  });
  const parsed = challengePayload.safeParse(payload);
  if (parsed.success) return parsed.data;
  throw refusal("invalid", "The challenge is signed, but its content is not that of a challenge");
}

function refuseForeign(payload: ChallengePayload, connectorId: string, profile: Profile): void {
  if (payload.aud !== "any" && payload.aud !== connectorId) {
    throw refusal("invalid", "The challenge is for another connector");
  }
  if (payload.profileId !== profile.id) {
    throw refusal("profile", `The challenge is for profile ${payload.profileId}`);
  }
}

function refuseOutOfTime({ iat, exp }: ChallengePayload, now: number): void {
  if (exp - iat > MAX_LIFETIME_MS) {
    throw refusal("invalid", "The challenge would live longer than 7 days");
  }
  if (iat > now + CLOCK_TOLERANCE_MS) throw refusal("invalid", "The challenge is of a later time");
  if (exp <= now) throw refusal("expired", "The challenge has expired");
}

function grantOf(payload: ChallengePayload, requestedCommonName: string | undefined): Grant {
  const { jti, exp, deviceId, userPrincipalName, subject, subjectAltNames, attributes } = payload;
  return {
    challenge: { id: jti, expiresAt: exp },
    deviceId,
    userPrincipalName,
    subject,
    subjectAltNames,
    attributes,
    requestedCommonName,
  };
}

function refusal(what: string, message: string): RefusalError {
  return new RefusalError(`challenge-${what}`, "profile.challenge", message);
}
