import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { YOUNG_GENERATION_FLAG } from "./young-generation.ts";

test("this Node's V8 has the flag that bounds the young generation", () => {
  const options = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  expect(options).toContain(`${YOUNG_GENERATION_FLAG} `);
});
