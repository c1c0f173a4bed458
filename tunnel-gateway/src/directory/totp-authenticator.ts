import type { Clock } from "@isthmus/shared/clock";
import { ConfigurationError } from "@isthmus/shared/errors";
import { z } from "zod";
import type { AuthenticationStep, Authenticator } from "../core/authenticator.ts";
import type { OneTimeSteps } from "../core/one-time-steps.ts";
import { matchOneTimePassword, parseOneTimeSecret } from "../protocol/one-time-password.ts";
import { failed, refused } from "./credentials-form.ts";
import { checked, ParsedFile } from "./parsed-file.ts";

/** Clients that make the codes themselves (openconnect --token-mode) fill in a field of this name alone. */
const FIELD = "secondary_password";
/** Own limit. */
const MAX_USERS = 10_000;

const secretsFile = z.strictObject({
  /** By user name: the secret in base32. */
  secrets: z
    .record(z.string().min(1).max(256), z.string().max(256))
    .refine((secrets) => Object.keys(secrets).length <= MAX_USERS, `more than ${MAX_USERS} users`),
});

/** One-time passwords of an app, of users whom another authenticator names. None is good twice, whatever happens between. */
export function totpAuthenticator(
  name: string,
  file: string,
  of: { readonly clock: Clock; readonly steps: OneTimeSteps },
): Authenticator {
  const source = new ParsedFile(file, (json) => secretsOf(file, json));
  const wrong = () => refused("credentials-wrong", name, "the one-time password is wrong", true);
  return {
    name,
    async begin(): Promise<AuthenticationStep> {
      const fields = [{ name: FIELD, label: "One-time password:", kind: "password" }] as const;
      const message = "Enter the code of your authenticator app.";
      return { kind: "ask", message, fields, state: null };
    },
    async answer(_state, answers, { userName }, signal): Promise<AuthenticationStep> {
      if (userName === undefined) return wrong();
      const key = userName.toLowerCase();
      try {
        const secret = source.read().get(key);
        const now = of.clock.now();
        const step = secret && matchOneTimePassword(secret, answers.get(FIELD) ?? "", now);
        if (step === undefined) return wrong();
        const isFirst = await of.steps.take({ authenticator: name, userName: key, step });
        return isFirst ? { kind: "accepted", user: { userName, groups: [] } } : wrong();
      } catch {
        return failed(name, signal);
      }
    },
    async check() {
      source.read();
    },
  };
}

/** By lower-case name. @throws ConfigurationError */
function secretsOf(file: string, json: unknown): ReadonlyMap<string, Buffer> {
  const secrets = new Map<string, Buffer>();
  const faults: string[] = [];
  for (const [user, text] of Object.entries(checked(file, secretsFile, json).secrets)) {
    const key = user.toLowerCase();
    if (secrets.has(key)) faults.push(`secrets.${user}: is there twice`);
    try {
      secrets.set(key, parseOneTimeSecret(text));
    } catch (error) {
      faults.push(`secrets.${user}: ${error instanceof Error ? error.message : "is no secret"}`);
    }
  }
  if (faults.length > 0) throw new ConfigurationError(file, faults);
  return secrets;
}
