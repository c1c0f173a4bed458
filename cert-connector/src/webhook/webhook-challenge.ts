import { hash } from "node:crypto";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import { z } from "zod";
import type { Grant } from "../core/grant.ts";
import type { ChallengeVerifier, ShownChallenge } from "../core/ports.ts";
import { variableNamed } from "../core/variables.ts";
import type { WebhookClient } from "./webhook-client.ts";

/** How long a challenge that was used cannot be used for another request. */
const CHALLENGE_MEMORY_MS = 7 * 86_400_000;
const MAX_ATTRIBUTES = 50;

/** What a service answers. Bounds are those of our own signed challenges. */
export const webhookAnswer = z.discriminatedUnion("allow", [
  z.strictObject({
    allow: z.literal(true),
    deviceId: z.string().min(1).max(128).optional(),
    userPrincipalName: z.string().min(1).max(256).optional(),
    /** RFC 4514. */
    subject: z.string().min(1).max(1_024).optional(),
    subjectAltNames: z
      .array(
        z.strictObject({
          type: z.enum(["uri", "dns", "email", "upn"]),
          value: z.string().min(1).max(512),
        }),
      )
      .max(20)
      .default([]),
    /** Variables for the profile's templates. */
    attributes: z
      .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/), z.string().max(512))
      .refine((all) => Object.keys(all).length <= MAX_ATTRIBUTES, `at most ${MAX_ATTRIBUTES}`)
      .optional(),
  }),
  z.strictObject({ allow: z.literal(false), reason: z.string().max(512).default("no reason") }),
]);

/** Asks a web service of the organisation whether, and as whom, a device may have a certificate. */
export function webhookChallenge(
  clientOf: (name: string) => WebhookClient | undefined,
): ChallengeVerifier {
  return {
    verify: async (shown) => {
      const { challenge, id } = shown.profile;
      if (challenge.kind !== "webhook") {
        throw new ConnectorError("challenge-kind", `profile ${id} has no webhook`);
      }
      const client = clientOf(challenge.name);
      if (client === undefined) {
        throw new ConnectorError("webhook-unknown", `there is no webhook ${challenge.name}`);
      }
      const value = await client.post(client.settings.url, questionOf(shown));
      const { data, error } = webhookAnswer.safeParse(value);
      if (data === undefined) {
        const faults = error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
        throw new ConnectorError(
          "webhook-answer",
          `webhook ${challenge.name} answered what is no decision: ${faults.slice(0, 5).join("; ").slice(0, 500)}`,
        );
      }
      if (!data.allow) {
        throw new RefusalError("challenge-refused", `webhook.${challenge.name}`, data.reason);
      }
      return grantOf(data, shown, client);
    },
  };
}

function questionOf(shown: ShownChallenge): Readonly<Record<string, unknown>> {
  return {
    type: "certificate.requested",
    transactionId: shown.transactionId,
    profileId: shown.profile.id,
    csr: shown.certificationRequest.der.toString("base64"),
    challenge: shown.challengePassword ?? null,
    requestedCommonName: shown.requestedCommonName ?? null,
  };
}

function grantOf(
  data: Extract<z.infer<typeof webhookAnswer>, { allow: true }>,
  { challengePassword, requestedCommonName, now }: ShownChallenge,
  { settings }: WebhookClient,
): Grant {
  const { allow: _, attributes, ...names } = data;
  const { name, notifyUrl } = settings;
  return {
    ...names,
    ...(attributes !== undefined && { attributes: named(attributes) }),
    ...(challengePassword !== undefined && {
      challenge: {
        id: `webhook:${name}:${hash("sha256", challengePassword, "hex")}`,
        expiresAt: now + CHALLENGE_MEMORY_MS,
      },
    }),
    requestedCommonName,
    ...(notifyUrl !== undefined && { notify: { kind: "webhook", name } }),
  };
}

/** Under the one name that templates find them by, whichever of a variable's names the service used. */
function named(attributes: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(attributes);
  return Object.fromEntries(entries.map(([name, value]) => [variableNamed(name) ?? name, value]));
}
