import { hash, timingSafeEqual } from "node:crypto";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { ChallengeVerifier, ShownChallenge } from "./ports.ts";

/**
 * One password per profile, for closed networks. It says nothing of who asks: a device id is granted only where the
 * profile believes the request's common name. `secretOf` gives the SHA-256 of a named secret.
 */
export function staticChallenge(
  secretOf: (name: string) => Buffer | undefined,
): ChallengeVerifier<
  Pick<ShownChallenge, "challengePassword" | "profile" | "requestedCommonName">
> {
  return {
    verify: async ({ challengePassword, profile, requestedCommonName }) => {
      const { challenge } = profile;
      if (challenge.kind !== "static") {
        throw new ConnectorError("challenge-kind", `profile ${profile.id} has no static challenge`);
      }
      const expected = secretOf(challenge.secretName);
      if (expected === undefined) {
        throw new RefusalError(
          "challenge-secret-missing",
          "profile.challenge",
          `The local configuration has no secret named ${challenge.secretName}`,
        );
      }
      if (challengePassword === undefined || challengePassword === "") {
        throw new RefusalError(
          "challenge-missing",
          "profile.challenge",
          "The request carries no challenge",
        );
      }
      if (!timingSafeEqual(hash("sha256", challengePassword, "buffer"), expected)) {
        throw new RefusalError(
          "challenge-invalid",
          "profile.challenge",
          "The challenge is not the profile's",
        );
      }
      const isBelieved = challenge.deviceId === "requestedCommonName";
      return {
        subjectAltNames: [],
        requestedCommonName,
        deviceId: isBelieved ? requestedCommonName : undefined,
      };
    },
  };
}
