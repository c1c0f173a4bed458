import { createHmac, randomBytes } from "node:crypto";
import { z } from "zod";
import type { AuthenticationStep, Authenticator } from "../core/authenticator.ts";
import {
  askForCredentials,
  failed,
  readCredentials,
  wrongCredentials,
} from "./credentials-form.ts";
import { checked, ParsedFile } from "./parsed-file.ts";
import { isPasswordHash, NO_HASH, nobodysHash, verifyPassword } from "./password-hash.ts";
import type { WorkLimit } from "./work-limit.ts";

/** Own limits. */
const MAX_USERS = 10_000;
const MAX_GROUPS = 100;

const usersFile = z.strictObject({
  users: z
    .array(
      z.strictObject({
        userName: z.string().min(1).max(256),
        passwordHash: z.string().refine(isPasswordHash, NO_HASH),
        groups: z.array(z.string().min(1).max(128)).max(MAX_GROUPS).default([]),
      }),
    )
    .max(MAX_USERS)
    .superRefine((users, context) => {
      for (const message of repeated(users)) context.addIssue({ code: "custom", message });
    }),
});

type User = z.infer<typeof usersFile>["users"][number];

/** Names and password hashes in a file; a change of it counts for the next login. `hashing` bounds the hashes under way. */
export function usersAuthenticator(name: string, file: string, hashing: WorkLimit): Authenticator {
  const source = new ParsedFile(file, (json) => known(checked(file, usersFile, json).users));
  const decoys = randomBytes(32);
  return {
    name,
    async begin(context) {
      return askForCredentials(context, "Enter your user name and password.");
    },
    async answer(_state, answers, context, signal): Promise<AuthenticationStep> {
      const credentials = readCredentials(answers, context);
      if (!credentials) return wrongCredentials(name);
      const { userName, password } = credentials;
      try {
        const { byName, hashes } = source.read();
        const user = byName.get(userName.toLowerCase());
        const decoy = nobodysHash(likeness(hashes, userName, decoys));
        const hash = user?.passwordHash ?? decoy;
        const isRight = await hashing.run(() => verifyPassword(password, hash), signal);
        if (!user || !isRight) return wrongCredentials(name);
        return { kind: "accepted", user: { userName: user.userName, groups: user.groups } };
      } catch {
        return failed(name, signal);
      }
    },
    async check() {
      source.read();
    },
  };
}

/** A hash that costs what somebody's does, always the same for a name: hashes of several costs say nothing about names. */
function likeness(hashes: readonly string[], userName: string, key: Buffer): string | undefined {
  const digest = createHmac("sha256", key).update(userName.toLowerCase()).digest();
  return hashes[digest.readUInt32BE(0) % Math.max(1, hashes.length)];
}

interface KnownUsers {
  readonly byName: ReadonlyMap<string, User>;
  readonly hashes: readonly string[];
}

function known(users: readonly User[]): KnownUsers {
  const byName = new Map(users.map((user) => [user.userName.toLowerCase(), user]));
  return { byName, hashes: users.map(({ passwordHash }) => passwordHash) };
}

/** Names are compared without regard to case; of two with one name nobody could say whose password counts. */
function repeated(users: readonly User[]): string[] {
  const names = users.map(({ userName }) => userName.toLowerCase());
  const seen = new Set<string>();
  return names
    .filter((one) => seen.size === seen.add(one).size)
    .map((one) => `${one} is there twice`);
}
