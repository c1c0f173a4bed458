import { PassThrough } from "node:stream";
import { runCommandLine } from "@isthmus/shared/kernel/command";
import { expect, test } from "vitest";
import { serviceCommands } from "./service-commands.ts";

test.each(["zz", "", "0".repeat(41)])("revoke --serial %j is wrong usage", async (serial) => {
  const stderr = new PassThrough();
  const exitCode = await runCommandLine(
    { name: "cert-connector", summary: "", version: "1", commands: serviceCommands },
    ["revoke", "--config", "none.json", `--serial=${serial}`],
    { stdout: new PassThrough(), stderr },
  );
  expect(exitCode).toBe(2);
  expect(String(stderr.read())).toContain(`--serial ${serial}: expected up to 40 hexadecimal`);
});
