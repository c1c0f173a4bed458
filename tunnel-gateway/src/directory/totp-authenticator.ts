import { readFileSync } from "node:fs";
import type { Clock } from "@isthmus/shared/clock";
import { ConfigurationError } from "@isthmus/shared/errors";
import { z } from "zod";
import type { AuthenticationStep, Authenticator, LoginContext } from "../core/authenticator.ts";
import { matchOneTimePassword, parseOneTimeSecret } from "../protocol/one-time-password.ts";
import { refused } from "./credentials-form.ts";

const secretsFile = z.strictObject({
  /** By user name: the secret in base32. */
  secrets: z.record(z.string().min(1).max(256), z.string().min(16).max(256)),
});

/**
 * One-time passwords of an app, of users whom another authenticator names. No password is good twice: the last step of each
 * user is remembered while the process lives, and after a start none is taken that was current before it.
 */
export function totpAuthenticator(name: string, file: string, clock: Clock): Authenticator {
  const startedAtStep = Math.floor(clock.now() / 30_000) - 1;
  const lastSteps = new Map<string, number>();
  const wrong = () => refused("credentials-wrong", name, "the one-time password is wrong", true);
  return {
    name,
    async begin(): Promise<AuthenticationStep> {
      // Clients that make the codes themselves (openconnect --token-mode) fill in a field of this name alone.
      const fields = [
        { name: "secondary_password", label: "One-time password:", kind: "password" },
      ] as const;
      return {
        kind: "ask",
        message: "Enter the code of your authenticator app.",
        fields,
        state: null,
      };
    },
    async answer(_state, answers, context): Promise<AuthenticationStep> {
      const userName = nameOf(context);
      const secret = userName === undefined ? undefined : readSecrets(file).get(userName);
      if (userName === undefined || !secret) return wrong();
      const lastStep = lastSteps.get(userName) ?? startedAtStep;
      const step = matchOneTimePassword(
        secret,
        answers.get("secondary_password") ?? "",
        clock.now(),
        lastStep,
      );
      if (step === undefined) return wrong();
      lastSteps.set(userName, step);
      return { kind: "accepted", user: { userName: context.userName ?? userName, groups: [] } };
    },
    async check() {
      readSecrets(file);
    },
  };
}

function nameOf({ userName }: LoginContext): string | undefined {
  return userName?.toLowerCase();
}

/** By lower-case name. @throws ConfigurationError */
function readSecrets(file: string): Map<string, Buffer> {
  let parsed: ReturnType<typeof secretsFile.safeParse>;
  try {
    parsed = secretsFile.safeParse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    throw new ConfigurationError(file, ["cannot be read as JSON"]);
  }
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new ConfigurationError(file, faults);
  }
  const entries = Object.entries(parsed.data.secrets);
  return new Map(entries.map(([user, text]) => [user.toLowerCase(), parseOneTimeSecret(text)]));
}
