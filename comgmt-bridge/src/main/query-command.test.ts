import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { runCommandLine } from "@isthmus/shared/kernel/command";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { queryCommand } from "./query-command.ts";

async function run(...words: readonly string[]) {
  const written = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof written) =>
    new Writable({
      write(chunk, _encoding, done) {
        written[name] += String(chunk);
        done();
      },
    });
  const line = { name: "bridge", summary: "a bridge", version: "1", commands: [queryCommand] };
  const streams = { stdout: stream("stdout"), stderr: stream("stderr") };
  return {
    exitCode: await runCommandLine(line, ["query", "check", ...words], streams),
    ...written,
  };
}

function configured(folder: string, queries: unknown): string {
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), JSON.stringify(value));
  write("desired.json", {});
  write("guardrails.json", { commands: { allow: [] }, "comgmt-bridge": { queries } });
  write("config.json", {
    stateFolder: "state",
    guardrailsFile: "guardrails.json",
    standalone: { desiredConfigurationFile: "desired.json" },
  });
  return join(folder, "config.json");
}

test("it shows the canonical text and all that the query reads", async () => {
  const { exitCode, stdout } = await run(
    "bios|where Version like '%1.2%' | join (Assets | project Owner)",
  );
  expect(exitCode).toBe(0);
  expect(stdout.split("\n")).toEqual([
    "query  Bios | where Version like '%1.2%' | join (Assets | project Owner)",
    "reads  Bios",
    "reads  Assets (not in the documentation)",
    "guardrails were not asked: name the configuration with --config",
    "",
  ]);
});

test("it says where a text stops being a query", async () => {
  const { exitCode, stderr } = await run("Bios | wher A == 1");
  expect(exitCode).toBe(1);
  expect(stderr).toBe(
    "bridge: line 1, column 8: CMPivot has no operator wher; did you mean where? [query-operator-unknown]\n",
  );
});

test("it says what the guardrails decide, and fails where they refuse", async () => {
  using folder = temporaryFolder();
  const entities = ["*", { entity: "Registry", arguments: ["hklm:\\software\\contoso\\*"] }];
  const config = configured(folder.path, { entities });
  const allowed = await run("OS | summarize count() by Caption", "--config", config);
  expect(allowed).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/uses {3}count\nallowed by the guardrails/),
  });
  const refused = await run("OS | join (Registry('hklm:\\\\sam\\\\*'))", "--config", config);
  expect(refused).toMatchObject({
    exitCode: 1,
    stdout: expect.stringMatching(/refused by the guardrails .* \[query-argument-refused, /),
  });
});

test("in JSON it has the readings and the verdict", async () => {
  using folder = temporaryFolder();
  const config = configured(folder.path, {});
  const { exitCode, stdout } = await run("OS | count", "--config", config, "--json");
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    text: "OS | count",
    entities: [{ entity: "OS", isDocumented: true }],
    verdict: {
      allowed: false,
      code: "query-entity-refused",
      rule: "guardrails.comgmt-bridge.queries.entities",
    },
  });
});
