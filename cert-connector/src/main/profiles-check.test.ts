import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { localConfiguration } from "../config/local-configuration.ts";
import { profilesCheck } from "./profiles-check.ts";

const LOCAL = localConfiguration.parse({ ca: { folder: "ca", passphraseFile: "passphrase" } });

async function check(profile: object, guardrails?: object) {
  using folder = temporaryFolder();
  const file = (name: string, content: unknown) => {
    writeFileSync(join(folder.path, name), JSON.stringify(content));
    return join(folder.path, name);
  };
  const configuration = { profiles: [{ id: "device", ...profile }] };
  const desired = file("desired.json", { version: 1, configuration });
  const rules = { commands: { allow: [] }, "cert-connector": guardrails ?? {} };
  const [it] = profilesCheck({
    ...LOCAL,
    standalone: { desiredConfigurationFile: desired },
    guardrailsFile: file("guardrails.json", rules),
  });
  return await it?.run();
}

test("profiles that fit are counted", async () => {
  expect(await check({})).toEqual({ status: "healthy", reason: "1 profile fits this machine" });
});

test.each([
  [{ ca: "vault" }, 'profiles.device.ca: there is no CA "vault"'],
  [{ challenge: { kind: "intune", tenant: "contoso" } }, 'has no tenant "contoso"'],
  [{ directory: { name: "corp", lookUp: "user" } }, 'has no directory "corp"'],
])("%j is refused before a start", async (profile, message) => {
  await expect(check(profile)).rejects.toThrow(message);
});

test("so is what the guardrails do not allow", async () => {
  await expect(check({ validityDays: 100 }, { maxValidityDays: 99 })).rejects.toThrow(
    /guardrails/i,
  );
});

test("without a local desired configuration there is nothing to look at", () => {
  expect(profilesCheck(LOCAL)).toEqual([]);
});
