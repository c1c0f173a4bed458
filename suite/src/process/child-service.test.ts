import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { layoutOf } from "../layout.ts";
import { ChildService, runCommand, type ServiceLaunch } from "./child-service.ts";
import { requireSingleSuite } from "./running-suite.ts";

const WRITE_RUN_FILE = `
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
const state = dirname(process.argv.at(-1));
process.stdout.write("starting\\n");
writeFileSync(join(state, "run.json"), JSON.stringify({ pid: process.pid, healthUrl: "http://127.0.0.1:1" }));
setInterval(() => {}, 1_000);
`;

/** A program that stands for a service; its configuration and state are in `folder`. */
function launchOf(folder: string, program: string): ServiceLaunch {
  const stateFolder = join(folder, "cert-connector", "state");
  mkdirSync(join(folder, "cert-connector", "src"), { recursive: true });
  mkdirSync(stateFolder, { recursive: true });
  const entry = join(folder, "cert-connector", "src", "main.ts");
  writeFileSync(entry, program);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  return {
    name: "cert-connector",
    entry,
    configFile: join(stateFolder, "config.json"),
    stateFolder,
    logFile: join(folder, "logs", "cert-connector.log"),
  };
}

test("a service is ready when its own run.json is there, and stops on SIGTERM", async () => {
  using folder = temporaryFolder();
  const launch = launchOf(folder.path, WRITE_RUN_FILE);
  const lines: string[] = [];
  const service = await ChildService.start({ ...launch, onLine: (line) => lines.push(line) });
  expect(service.runningAs()).toEqual({ pid: service.pid, healthUrl: "http://127.0.0.1:1" });
  await service.stop();
  expect(service.hasEnded).toBe(true);
  expect((await service.ended).signal).toBe("SIGTERM");
  expect(lines).toEqual(["starting"]);
  expect(readFileSync(launch.logFile, "utf8")).toBe("starting\n");
});

test("a service that ends before it is ready fails with its last lines, whatever an earlier one left", async () => {
  using folder = temporaryFolder();
  const launch = launchOf(folder.path, 'process.stderr.write("no such key\\n"); process.exit(1);');
  writeFileSync(join(launch.stateFolder, "run.json"), `{"pid":${process.pid},"healthUrl":""}`);
  const started = ChildService.start(launch);
  await expect(started).rejects.toMatchObject({ code: "service-failed" });
  await expect(started).rejects.toThrow(/ended before it was ready[\s\S]*no such key/);
});

test("a fault at start whose lines were shown already is not printed twice", async () => {
  using folder = temporaryFolder();
  const launch = launchOf(folder.path, 'process.stderr.write("no such key\\n"); process.exit(1);');
  const lines: string[] = [];
  const started = ChildService.start({ ...launch, onLine: (line) => lines.push(line) });
  await expect(started).rejects.toThrow(
    new RegExp(`^cert-connector ended before it was ready; its log is ${launch.logFile}$`),
  );
  expect(lines).toEqual(["no such key"]);
});

test("SIGKILL ends a service that does not listen to anything", async () => {
  using folder = temporaryFolder();
  const deaf = `process.on("SIGTERM", () => {});${WRITE_RUN_FILE}`;
  const service = await ChildService.start(launchOf(folder.path, deaf));
  await service.kill();
  expect((await service.ended).signal).toBe("SIGKILL");
});

test("a running suite of the same folder is named with its processes; a killed one is not", async () => {
  using folder = temporaryFolder();
  const layout = layoutOf(folder.path);
  const service = await ChildService.start(launchOf(folder.path, WRITE_RUN_FILE));
  expect(() => requireSingleSuite(layout)).toThrow(`cert-connector (process ${service.pid})`);
  await service.kill();
  expect(() => requireSingleSuite(layout)).not.toThrow();
});

test("a command gets its input and gives its output; one that fails is named with what it said", async () => {
  using folder = temporaryFolder();
  const { entry } = launchOf(
    folder.path,
    'if (process.argv[2] === "fail") { process.stderr.write("bad token\\n"); process.exit(1); }' +
      "process.stdin.pipe(process.stdout);",
  );
  expect(await runCommand(entry, ["enrol"], "a token")).toBe("a token");
  const failing = runCommand(entry, ["fail"]);
  await expect(failing).rejects.toMatchObject({ code: "command-failed" });
  await expect(failing).rejects.toThrow(/fail failed:\s+bad token/);
});
