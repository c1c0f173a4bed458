import { readFileSync } from "node:fs";
import { ConfigurationError } from "@isthmus/shared/errors";
import { z } from "zod";
import type { AuthenticationStep, Authenticator } from "../core/authenticator.ts";
import { askForCredentials, readCredentials, wrongCredentials } from "./credentials-form.ts";
import { isPasswordHash, NOBODYS_HASH, verifyPassword } from "./password-hash.ts";

/** Own limits. */
const MAX_USERS = 10_000;
const MAX_GROUPS = 100;

const usersFile = z.strictObject({
  users: z
    .array(
      z.strictObject({
        userName: z.string().min(1).max(256),
        passwordHash: z.string().refine(isPasswordHash, "expected what hash-password prints"),
        groups: z.array(z.string().min(1).max(128)).max(MAX_GROUPS).default([]),
      }),
    )
    .max(MAX_USERS),
});

type User = z.infer<typeof usersFile>["users"][number];

/** Names and password hashes in a file, read anew for each login, so that a change counts at once. */
export function usersAuthenticator(name: string, file: string): Authenticator {
  return {
    name,
    async begin(context) {
      return askForCredentials(context, "Enter your user name and password.");
    },
    async answer(_state, answers, context): Promise<AuthenticationStep> {
      const credentials = readCredentials(answers, context);
      if (!credentials) return wrongCredentials(name);
      const user = readUsers(file).get(credentials.userName.toLowerCase());
      const isRight = await verifyPassword(
        credentials.password,
        user?.passwordHash ?? NOBODYS_HASH,
      );
      if (!user || !isRight) return wrongCredentials(name);
      return { kind: "accepted", user: { userName: user.userName, groups: user.groups } };
    },
    async check() {
      readUsers(file);
    },
  };
}

/** By lower-case name. @throws ConfigurationError */
function readUsers(file: string): Map<string, User> {
  const parsed = usersFile.safeParse(readJson(file));
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new ConfigurationError(file, faults);
  }
  return new Map(parsed.data.users.map((user) => [user.userName.toLowerCase(), user]));
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    const reason = error instanceof SyntaxError ? "is no JSON" : "cannot be read";
    throw new ConfigurationError(file, [reason]);
  }
}
