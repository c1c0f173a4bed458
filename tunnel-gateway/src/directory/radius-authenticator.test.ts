import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import type { AuthenticationStep, Authenticator } from "../core/authenticator.ts";
import { answerOnce, LOGIN_CONTEXT } from "../testing/login-context.ts";
import { radiusServer } from "../testing/radius-server.ts";
import { radiusAuthenticator } from "./radius-authenticator.ts";
import type { RadiusServer } from "./radius-exchange.ts";

const SECRET = "a shared secret";
const CREDENTIALS = { username: "alice", password: "p" };
const ACCEPT = { code: 2 };
const REJECT = { code: 3 };
const challenge = (message: string) =>
  ({
    code: 11,
    attributes: [
      [18, message],
      [24, "state"],
    ],
  }) as const;

function authenticator(servers: readonly RadiusServer[]) {
  const folder = temporaryFolder();
  const secretFile = join(folder.path, "secret");
  writeFileSync(secretFile, SECRET);
  const made = radiusAuthenticator("radius", {
    servers,
    secretFile,
    nasIdentifier: "isthmus",
    timeoutSeconds: 0.2,
    retries: 0,
    requireMessageAuthenticator: true,
  });
  return { made, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

function respond(to: Authenticator, step: AuthenticationStep, response: string) {
  if (step.kind !== "ask") throw new Error(`${step.kind} instead of a challenge`);
  const answers = new Map([["response", response]]);
  return to.answer(step.state, answers, LOGIN_CONTEXT, AbortSignal.timeout(20_000));
}

test("a challenge is answered to the server that made it, which alone knows its state", async () => {
  let isAway = true;
  using first = await radiusServer(SECRET, () => (isAway ? undefined : REJECT));
  using second = await radiusServer(SECRET, (request) =>
    request.includes("state") ? ACCEPT : challenge("Code?"),
  );
  using radius = authenticator([first.server, second.server]);
  const asked = await answerOnce(radius.made, CREDENTIALS);
  isAway = false;
  expect((await respond(radius.made, asked, "123456")).kind).toBe("accepted");
});

test("challenges without an end are a wrong password after the eighth", async () => {
  using server = await radiusServer(SECRET, () => challenge("Again?"));
  using radius = authenticator([server.server]);
  let step = await answerOnce(radius.made, CREDENTIALS);
  for (let round = 2; round <= 8; round += 1) step = await respond(radius.made, step, "r");
  expect(step.kind).toBe("ask");
  expect(await respond(radius.made, step, "r")).toMatchObject({
    kind: "refused",
    isAttempt: true,
    refusal: { code: "credentials-wrong" },
  });
});

test.each([
  ["Enter\r\nthe \u0007code", "Enter the code"],
  ["", "Enter the response."],
])("a challenge that says %j is shown as %j", async (said, shown) => {
  using server = await radiusServer(SECRET, () => challenge(said));
  using radius = authenticator([server.server]);
  expect(await answerOnce(radius.made, CREDENTIALS)).toMatchObject({ message: shown });
});

test.each([
  [[[1, "Alice@example.com"]], { userName: "Alice@example.com", groups: [] }],
  [[[1, "a\u0000b"]], { userName: "alice", groups: [] }],
  [
    [
      [25, "OU=staff;OU=vpn"],
      [11, "it"],
    ],
    { userName: "alice", groups: ["staff", "vpn", "it"] },
  ],
] as const)("an accept with %j names %j", async (attributes, user) => {
  using server = await radiusServer(SECRET, () => ({ ...ACCEPT, attributes }));
  using radius = authenticator([server.server]);
  expect(await answerOnce(radius.made, CREDENTIALS)).toEqual({ kind: "accepted", user });
});

test("a password longer than RADIUS carries is wrong, and no server is asked", async () => {
  let count = 0;
  using server = await radiusServer(SECRET, () => {
    count += 1;
    return ACCEPT;
  });
  using radius = authenticator([server.server]);
  const step = await answerOnce(radius.made, { ...CREDENTIALS, password: "p".repeat(129) });
  expect(step).toMatchObject({ refusal: { code: "credentials-wrong" } });
  expect(count).toBe(0);
});
