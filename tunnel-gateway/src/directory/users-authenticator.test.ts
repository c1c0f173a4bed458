import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import type { Authenticator } from "../core/authenticator.ts";
import { answerOnce } from "../testing/login-context.ts";
import { hashPassword } from "./password-hash.ts";
import { usersAuthenticator } from "./users-authenticator.ts";
import { WorkLimit } from "./work-limit.ts";

const signal = AbortSignal.timeout(20_000);
const passwordHash = await hashPassword("right", Buffer.alloc(16));
const alice = { userName: "Alice@example.com", passwordHash, groups: ["staff"] };
const right = { username: "alice@EXAMPLE.com", password: "right" };

function users(content: unknown, hashing = new WorkLimit({ underWay: 2, waiting: 8 })) {
  const folder = temporaryFolder();
  const file = join(folder.path, "users.json");
  const write = (text: unknown) =>
    writeFileSync(file, typeof text === "string" ? text : JSON.stringify(text));
  write(content);
  const authenticator: Authenticator = usersAuthenticator("local", file, hashing);
  return { authenticator, file, write, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

test("a user is told by the file's name and groups, however the name was typed", async () => {
  using all = users({ users: [alice] });
  expect(await answerOnce(all.authenticator, right)).toEqual({
    kind: "accepted",
    user: { userName: "Alice@example.com", groups: ["staff"] },
  });
});

test("a name that is known counts, whatever is typed", async () => {
  using all = users({ users: [alice, { ...alice, userName: "bob" }] });
  const step = await answerOnce(all.authenticator, right, { userName: "bob" });
  expect(step).toMatchObject({ kind: "accepted", user: { userName: "bob" } });
});

test.each([
  ["a wrong password", { ...right, password: "wrong" }],
  ["an unknown name", { ...right, username: "nobody" }],
  ["no password", { username: "alice@example.com" }],
  ["no name", { password: "right" }],
  ["a password of 1,025 characters", { ...right, password: "p".repeat(1_025) }],
  ["a name of 257 characters", { ...right, username: "u".repeat(257) }],
  ["a name with a control character", { ...right, username: "alice\0" }],
  ["a name of every object", { ...right, username: "__proto__" }],
])("%s is the same refusal", async (_what, answers) => {
  using all = users({ users: [alice] });
  expect(await answerOnce(all.authenticator, answers)).toEqual({
    kind: "refused",
    isAttempt: true,
    refusal: {
      code: "credentials-wrong",
      rule: "authenticator/local",
      message: "the user name or the password is wrong",
    },
  });
});

test("a password of 1,024 characters is one", async () => {
  const password = "p".repeat(1_024);
  const hash = await hashPassword(password, Buffer.alloc(16));
  using all = users({ users: [{ ...alice, passwordHash: hash }] });
  expect((await answerOnce(all.authenticator, { ...right, password })).kind).toBe("accepted");
});

test("a change of the file counts at once", async () => {
  using all = users({ users: [alice] });
  expect((await answerOnce(all.authenticator, right)).kind).toBe("accepted");
  all.write({ users: [] });
  expect((await answerOnce(all.authenticator, right)).kind).toBe("refused");
});

const many = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ ...alice, userName: `user-${at}` }));

test.each([
  ["no JSON", "{"],
  ["an unknown key", { users: [], admins: [] }],
  ["a hash of another kind", { users: [{ ...alice, passwordHash: "{SSHA}abc" }] }],
  [
    "a hash that would take all memory",
    { users: [{ ...alice, passwordHash: passwordHash.replace("16384", "524288") }] },
  ],
  [
    "one name twice in another case",
    { users: [alice, { ...alice, userName: "alice@EXAMPLE.com" }] },
  ],
  ["10,001 users", { users: many(10_001) }],
  ["101 groups", { users: [{ ...alice, groups: Array(101).fill("g") }] }],
])(
  "a file with %s lets nobody in, costs nobody an attempt, and fails the check",
  async (_what, content) => {
    using all = users(content);
    expect(await answerOnce(all.authenticator, right)).toMatchObject({
      kind: "refused",
      isAttempt: false,
      refusal: { code: "authenticator-unreachable" },
    });
    expect(await rejectedCode(() => all.authenticator.check(signal))).toBe("configuration-invalid");
  },
);

test("10,000 users with 100 groups are read, and a file that is gone is told", async () => {
  using all = users({ users: many(9_999).concat({ ...alice, groups: Array(100).fill("g") }) });
  await all.authenticator.check(signal);
  rmSync(all.file);
  expect(await rejectedCode(() => all.authenticator.check(signal))).toBe("configuration-invalid");
});

test("an unknown name is hashed as a known one is", async () => {
  let count = 0;
  class Counted extends WorkLimit {
    override async run<T>(work: () => Promise<T>, until: AbortSignal): Promise<T> {
      count += 1;
      return await super.run(work, until);
    }
  }
  using all = users({ users: [alice] }, new Counted({ underWay: 1, waiting: 0 }));
  await answerOnce(all.authenticator, { ...right, username: "nobody" });
  expect(count).toBe(1);
});

test("logins beyond what may be hashed and may wait are told to come again", async () => {
  using all = users({ users: [alice] }, new WorkLimit({ underWay: 1, waiting: 1 }));
  const steps = await Promise.all([1, 2, 3].map(() => answerOnce(all.authenticator, right)));
  expect(steps.map((step) => (step.kind === "refused" ? step.refusal.code : step.kind))).toEqual([
    "accepted",
    "accepted",
    "authenticator-unreachable",
  ]);
});

test("who goes away before the answer gets none, so that the attempt counts", async () => {
  using all = users({ users: [alice] });
  const gone = AbortSignal.abort(new Error("gone"));
  await expect(answerOnce(all.authenticator, right, {}, gone)).rejects.toThrow("gone");
});
