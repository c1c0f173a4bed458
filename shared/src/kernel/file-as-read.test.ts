import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { changedFiles, rememberFile } from "./file-as-read.ts";

test("what is no file that can be read twice is not remembered, and what is not there is refused", () => {
  using folder = temporaryFolder();
  expect(rememberFile("/dev/null")).toBeUndefined();
  expect(() => rememberFile(join(folder.path, "config.json"))).toThrow(/cannot be read: ENOENT/);
});

test("a file is told as changed by its bytes alone, also where it is gone, until it is as it was", () => {
  using folder = temporaryFolder();
  const [one, other] = [join(folder.path, "config.json"), join(folder.path, "guardrails.json")];
  for (const path of [one, other]) writeFileSync(path, "{}");
  const files = [one, other].map(rememberFile).filter((file) => file !== undefined);
  writeFileSync(one, "{}");
  expect(changedFiles(files)).toEqual([]);
  writeFileSync(one, "{ }");
  expect(changedFiles(files)).toEqual([one]);
  rmSync(other);
  expect(changedFiles(files)).toEqual([one, other]);
  for (const path of [one, other]) writeFileSync(path, "{}");
  expect(changedFiles(files)).toEqual([]);
});

test("what took the place of a file and has no end is told as changed, and not read", () => {
  expect(changedFiles([{ path: "/dev/zero", sha256: "" }])).toEqual(["/dev/zero"]);
});
