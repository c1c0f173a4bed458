import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const MAX_LINES = 400;
/** Files that may be longer, each with its reason. */
const LONGER: Readonly<Record<string, string>> = {
  "shared/src/link/messages.ts": "the whole wire schema stands in one place",
};

test("no file is over 400 lines without a stated reason", () => {
  const long = globSync("{*/src,test}/**/*.ts")
    .filter((file) => !(file in LONGER))
    .map((file) => ({ file, lines: readFileSync(file, "utf8").split("\n").length - 1 }))
    .filter(({ lines }) => lines > MAX_LINES);
  expect(long).toEqual([]);
});
