import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { PARALLEL_SCAVENGE_FLAG } from "./young-generation.ts";

test("this Node's V8 has the flag that divides collections among threads", () => {
  const options = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  expect(options).toContain(`${PARALLEL_SCAVENGE_FLAG} `);
});
