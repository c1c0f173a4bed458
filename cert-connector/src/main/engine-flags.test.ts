import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { ENGINE_FLAGS } from "./engine-flags.ts";

test.each(ENGINE_FLAGS)("this Node's V8 knows %s", (flag) => {
  const options = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  const [name = ""] = flag.replace("--no-", "--").split("=");
  expect(options).toContain(` ${name} `);
});
