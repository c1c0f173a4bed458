import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { encodeOneTimeSecret, oneTimePassword } from "../protocol/one-time-password.ts";
import { answerOnce } from "../testing/login-context.ts";
import { usedSteps } from "../testing/used-steps.ts";
import { totpAuthenticator } from "./totp-authenticator.ts";

const secret = Buffer.alloc(20, 5);
const STEP_MS = 30_000;

function codes(
  of: { readonly secrets?: unknown; readonly steps?: ReturnType<typeof usedSteps> } = {},
) {
  const folder = temporaryFolder();
  const file = join(folder.path, "secrets.json");
  const secrets = of.secrets ?? { "Alice@example.com": encodeOneTimeSecret(secret) };
  writeFileSync(file, JSON.stringify({ secrets }));
  const clock = new FakeClock();
  const steps = of.steps ?? usedSteps();
  const make = () => totpAuthenticator("codes", file, { clock, steps });
  let authenticator = make();
  return {
    clock,
    codeAt: (steps: number) => oneTimePassword(secret, clock.now() / STEP_MS + steps),
    give: (code: string, userName: string | undefined = "alice@example.com") =>
      answerOnce(authenticator, { secondary_password: code }, { userName }),
    restart: () => {
      authenticator = make();
    },
    check: () => authenticator.check(AbortSignal.timeout(1_000)),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

test("the code of now is taken, and the user keeps the name that was known", async () => {
  using all = codes();
  const user = { userName: "ALICE@example.com", groups: [] };
  expect(await all.give(all.codeAt(0), "ALICE@example.com")).toEqual({ kind: "accepted", user });
});

test("no code is good twice, nor an earlier one after a later, nor either after a restart", async () => {
  using all = codes();
  expect((await all.give(all.codeAt(0))).kind).toBe("accepted");
  expect((await all.give(all.codeAt(0))).kind).toBe("refused");
  expect((await all.give(all.codeAt(-1))).kind).toBe("refused");
  all.restart();
  expect((await all.give(all.codeAt(0))).kind).toBe("refused");
  all.clock.advance(STEP_MS);
  expect((await all.give(all.codeAt(-1))).kind).toBe("refused");
  expect((await all.give(all.codeAt(0))).kind).toBe("accepted");
});

test("of two who give one code at once, one comes in", async () => {
  using all = codes();
  const steps = await Promise.all([all.give(all.codeAt(0)), all.give(all.codeAt(0))]);
  expect(steps.map(({ kind }) => kind).toSorted()).toEqual(["accepted", "refused"]);
});

test.each([
  ["two steps old", -2, "refused"],
  ["a step old", -1, "accepted"],
  ["a step early", 1, "accepted"],
  ["two steps early", 2, "refused"],
])("a code %s is %s", async (_what, at, kind) => {
  using all = codes();
  expect((await all.give(all.codeAt(at))).kind).toBe(kind);
});

test("nobody, whoever has no secret, and what is no code are wrong, and attempts", async () => {
  using all = codes();
  const steps = [
    await all.give(all.codeAt(0), "bob"),
    await all.give("12345\u00e9"),
    await all.give(""),
  ];
  for (const step of steps) {
    expect(step).toMatchObject({ isAttempt: true, refusal: { code: "credentials-wrong" } });
  }
});

test("a code that cannot be remembered is not taken", async () => {
  using all = codes({ steps: { take: () => Promise.reject(new Error("the disk is full")) } });
  expect(await all.give(all.codeAt(0))).toMatchObject({
    isAttempt: false,
    refusal: { code: "authenticator-unreachable" },
  });
});

test("a check names every user whose secret is none", async () => {
  using all = codes({
    secrets: { alice: "not base32!", bob: encodeOneTimeSecret(secret), BOB: "AAAA" },
  });
  await expect(all.check()).rejects.toThrow(/3 faults.*alice.*BOB: is there twice.*BOB/s);
  expect(await all.give("123456")).toMatchObject({ isAttempt: false });
});
