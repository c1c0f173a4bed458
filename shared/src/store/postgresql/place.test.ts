import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../testing/temporary-folder.ts";
import { connectionSettings, describePlace, lockNumber, ownSchema, REPLICA_NAME } from "./place.ts";

function settingsOf(url: string, caFile?: string) {
  using folder = temporaryFolder();
  const urlFile = join(folder.path, "url");
  writeFileSync(urlFile, `${url}\n`);
  return connectionSettings({ urlFile, replica: "one", caFile });
}

const address = (message: RegExp) =>
  expect.objectContaining({ code: "store-address", message: expect.stringMatching(message) });

test("an address is read with all its parts", () => {
  expect(settingsOf("postgresql://role:p%40ss%2Fword@db.example:6432/ledger")).toEqual({
    host: "db.example",
    port: 6_432,
    user: "role",
    password: "p@ss/word",
    database: "ledger",
    ssl: { rejectUnauthorized: true },
  });
  expect(settingsOf("postgres://role@[2001:db8::1]/ledger")).toMatchObject({
    host: "2001:db8::1",
    port: 5_432,
    password: undefined,
  });
});

test.each([
  ["postgresql://r@127.0.0.1/l", false],
  ["postgresql://r@localhost/l", false],
  ["postgresql://r@[::1]/l", false],
  ["postgresql://r@localhost/l?host=/run/postgresql", false],
  ["postgresql://r@db.example/l?sslmode=disable", false],
  ["postgresql://r@127.0.0.1/l?sslmode=verify-full", { rejectUnauthorized: true }],
  ["postgresql://r@db.example/l", { rejectUnauthorized: true }],
  ["postgresql://r@localhost.example/l", { rejectUnauthorized: true }],
])("%s: TLS unless nothing leaves the machine, or it is said", (url, ssl) => {
  expect(settingsOf(url).ssl).toEqual(ssl);
});

test.each([
  ["postgresql://r@db/l?sslmode=require", /sslmode=require/],
  ["postgresql://r@db/l?options=-c", /"options" is not known/],
  ["postgresql://db/l", /host, role and database/],
  ["postgresql://r@db/", /host, role and database/],
  ["mysql://r@db/l", /expected postgresql/],
  ["secret word", /expected postgresql/],
])("%s is refused", (url, message) => {
  expect(() => settingsOf(url)).toThrow(address(message));
});

test("no error and no description repeats what the file holds", () => {
  const url = "postgresql://role:hunter2@db.example/ledger?sslmode=hunter";
  const error = (() => {
    try {
      return settingsOf("hunter2");
    } catch (thrown) {
      return String(thrown);
    }
  })();
  expect(error).not.toContain("hunter2");
  using folder = temporaryFolder();
  const urlFile = join(folder.path, "url");
  writeFileSync(urlFile, url.replace("?sslmode=hunter", ""));
  const described = describePlace({ urlFile, replica: "one" });
  expect(described).toBe("PostgreSQL database ledger at db.example:5432 (replica one)");
});

test("replicas and what they lock are told apart", () => {
  expect(ownSchema({ urlFile: "", replica: "one" })).toBe("isthmus_replica_one");
  expect(lockNumber("a")).not.toBe(lockNumber("b"));
  expect(BigInt(lockNumber("a")) < 2n ** 63n).toBe(true);
  for (const bad of ["", "A", "a-b", "a".repeat(33), 'a"; --', "_a"])
    expect(bad).not.toMatch(REPLICA_NAME);
  expect("a".repeat(32)).toMatch(REPLICA_NAME);
});
