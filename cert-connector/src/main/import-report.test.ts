import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { type ImportEntry, ImportReport } from "./import-report.ts";

const done: ImportEntry = {
  at: "2026-01-01T00:00:00.000Z",
  file: "ada.pfx",
  sha256: "ab",
  userPrincipalName: "ada@example.com",
  target: "graph:contoso",
  state: "created",
};

test("what is done stays done in the next run, what failed does not, nor another file or target", () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "report.jsonl");
  const first = new ImportReport(file);
  first.add(done);
  first.add({ ...done, file: "bob.pfx", state: "failed" });
  const second = new ImportReport(file);
  expect(second.isDone({ ...done, userPrincipalName: "ADA@example.com" })).toBe(true);
  expect(second.isDone({ ...done, sha256: "cd" })).toBe(false);
  expect(second.isDone({ ...done, target: "connector" })).toBe(false);
  expect(second.isDone({ ...done, file: "bob.pfx" })).toBe(false);
});

test("a line that a crash cut off is passed over, and the next starts on a line of its own", () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "report.jsonl");
  new ImportReport(file).add(done);
  appendFileSync(file, '{"at":"2026');
  const after = new ImportReport(file);
  after.add({ ...done, file: "bob.pfx" });
  expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(3);
  // The broken line stands in the middle now: the report is still one.
  expect(new ImportReport(file).isDone({ ...done, file: "bob.pfx" })).toBe(true);
});

test("a file that is no report is not written into", () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "notes.txt");
  writeFileSync(file, "my notes\nmore\n");
  expect(() => new ImportReport(file)).toThrow(
    expect.objectContaining({ code: "report-unreadable" }),
  );
  expect(readFileSync(file, "utf8")).toBe("my notes\nmore\n");
});
