import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigurationError } from "@isthmus/shared/errors";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import fc from "fast-check";
import { expect, test } from "vitest";
import { usedSteps } from "../testing/used-steps.ts";
import { nobodysHash } from "./password-hash.ts";
import { totpAuthenticator } from "./totp-authenticator.ts";
import { usersAuthenticator } from "./users-authenticator.ts";
import { WorkLimit } from "./work-limit.ts";

const signal = new AbortController().signal;
const user = fc.record(
  {
    userName: fc.oneof(fc.string(), fc.jsonValue()),
    passwordHash: fc.oneof(fc.constant(nobodysHash()), fc.jsonValue()),
    groups: fc.oneof(fc.array(fc.string()), fc.jsonValue()),
  },
  { requiredKeys: [] },
);
const secrets = fc.dictionary(fc.string(), fc.oneof(fc.constant("A".repeat(32)), fc.jsonValue()));
const content = fc.oneof(
  fc.string(),
  fc.json(),
  fc.array(user).map((users) => JSON.stringify({ users })),
  secrets.map((all) => JSON.stringify({ secrets: all })),
);

test("whatever a file holds is read whole, or refused as a file with faults", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "users.json");
  const surroundings = { clock: new FakeClock(), steps: usedSteps() };
  await fc.assert(
    fc.asyncProperty(content, async (text) => {
      writeFileSync(file, text);
      const users = usersAuthenticator("users", file, new WorkLimit({ underWay: 1, waiting: 0 }));
      const codes = totpAuthenticator("codes", file, surroundings);
      for (const one of [users, codes]) {
        const error = await one.check(signal).then(
          () => undefined,
          (fault: unknown) => fault,
        );
        if (error !== undefined) expect(error).toBeInstanceOf(ConfigurationError);
      }
    }),
    { numRuns: fuzzRuns(300) },
  );
});
