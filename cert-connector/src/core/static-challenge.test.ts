import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { goodProfile, NOON } from "./fixture.ts";
import type { Profile } from "./profile.ts";
import { staticChallenge } from "./static-challenge.ts";

const profile: Profile = {
  ...goodProfile,
  challenge: { kind: "static", secretName: "closed", deviceId: "none" },
};
const verifier = staticChallenge((name) =>
  name === "closed" ? hash("sha256", "open sesame", "buffer") : undefined,
);
function verify(challengePassword: string | undefined, changes: Partial<Profile> = {}) {
  const of = { profile: { ...profile, ...changes }, requestedCommonName: "laptop", now: NOON };
  return verifier.verify({ challengePassword, ...of });
}

test("the password grants no device id unless the profile believes the request", async () => {
  expect(await verify("open sesame")).toEqual({
    subjectAltNames: [],
    requestedCommonName: "laptop",
    deviceId: undefined,
  });
  const believing = {
    kind: "static",
    secretName: "closed",
    deviceId: "requestedCommonName",
  } as const;
  expect((await verify("open sesame", { challenge: believing })).deviceId).toBe("laptop");
});

test.each([
  ["challenge-missing", undefined],
  ["challenge-missing", ""],
  ["challenge-invalid", "open sesam"],
  ["challenge-invalid", "open sesame "],
])("%s: %j", async (code, password) => {
  await expect(verify(password)).rejects.toMatchObject({ code, rule: "profile.challenge" });
});

test("a secret that is not configured here lets nobody in", async () => {
  const challenge = { kind: "static", secretName: "gone", deviceId: "none" } as const;
  await expect(verify("", { challenge })).rejects.toMatchObject({
    code: "challenge-secret-missing",
  });
});
