import { hash } from "node:crypto";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { CertificationRequest } from "@isthmus/shared/x509/certification-request";
import { formatName } from "@isthmus/shared/x509/name-text";
import type { Grant } from "../core/grant.ts";
import type { ChallengeVerifier, ShownChallenge } from "../core/ports.ts";
import type { AltName } from "../core/profile.ts";
import { intuneRefusal } from "./refusals.ts";
import type { ScepValidation } from "./scep-validation.ts";

/** Our own limits on what is taken from a request; a profile of Intune has less. */
const MAX_NAMES = 20;
const MAX_NAME_CHARACTERS = 512;
const MAX_SUBJECT_CHARACTERS = 1_024;
/** A challenge lives 60 minutes; a used one is remembered as long. */
const CHALLENGE_LIFETIME_MS = 3_600_000;

/**
 * Challenges that Microsoft Intune made and validates. It validates the request by its SCEP profile too: subject and
 * alternative names are what the administrator set there, a security identifier among them. So they are taken from the
 * request, as far as profile and guardrails here allow.
 */
export function intuneChallenge(
  validationOf: (tenant: string) => Pick<ScepValidation, "validate"> | undefined,
): ChallengeVerifier {
  return {
    verify: async (shown) => {
      const { challenge } = shown.profile;
      if (challenge.kind !== "intune") {
        throw new ConnectorError("challenge-kind", `profile ${shown.profile.id} has no Intune`);
      }
      const { tenant } = challenge;
      const validation = validationOf(tenant);
      if (validation === undefined) {
        throw new ConnectorError(
          "tenant-unknown",
          `the local configuration has no tenant ${tenant}`,
        );
      }
      const challengePassword = requireChallenge(shown);
      const code = await validation.validate({
        transactionId: shown.transactionId,
        certificateRequest: shown.certificationRequest.der.toString("base64"),
      });
      if (code !== "Success") throw intuneRefusal(code);
      const isBelieved = challenge.deviceId === "requestedCommonName";
      return {
        ...namesOf(shown.certificationRequest),
        challenge: {
          id: `intune:${hash("sha256", challengePassword, "hex")}`,
          expiresAt: shown.now + CHALLENGE_LIFETIME_MS,
        },
        requestedCommonName: shown.requestedCommonName,
        deviceId: isBelieved ? shown.requestedCommonName : undefined,
        notify: { kind: "intune", name: tenant },
      };
    },
  };
}

function requireChallenge({ challengePassword }: ShownChallenge): string {
  if (challengePassword !== undefined && challengePassword !== "") return challengePassword;
  throw new RefusalError(
    "challenge-missing",
    "profile.challenge",
    "The request carries no challenge: only devices that an Intune SCEP profile configured have one",
  );
}

/** Names in forms that profiles do not know (IP addresses, directory names) are left out. Throws `request-names`. */
function namesOf({
  subject,
  requested,
}: CertificationRequest): Pick<Grant, "subject" | "subjectAltNames" | "userPrincipalName"> {
  const text = formatName(subject);
  if (text.length > MAX_SUBJECT_CHARACTERS) throw tooMuch(`a subject of ${text.length} characters`);
  const names = requested.subjectAltNames.flatMap((name): AltName[] => {
    const { type, value } = name;
    const isKnown = type === "uri" || type === "dns" || type === "email" || type === "upn";
    return isKnown ? [{ type, value }] : [];
  });
  if (names.length > MAX_NAMES) throw tooMuch(`${names.length} alternative names`);
  const longest = Math.max(0, ...names.map(({ value }) => value.length));
  if (longest > MAX_NAME_CHARACTERS) throw tooMuch(`an alternative name of ${longest} characters`);
  return { subject: text === "" ? undefined : text, subjectAltNames: names };
}

function tooMuch(what: string): RefusalError {
  return new RefusalError(
    "request-names",
    "challenge.names",
    `The request has ${what}; at most ${MAX_NAMES} names of ${MAX_NAME_CHARACTERS} characters and a subject of ${MAX_SUBJECT_CHARACTERS} are taken`,
  );
}
