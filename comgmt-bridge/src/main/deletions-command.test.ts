import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { runCommandLine } from "@isthmus/shared/kernel/command";
import { serveControlSocket } from "@isthmus/shared/kernel/control-socket";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { makeTestKernel, type TestKernel } from "@isthmus/shared/testing/kernel";
import { expect, test } from "vitest";
import type { BridgeOperations } from "../store/module.ts";
import { deletionControls } from "./deletion-controls.ts";
import { deletionsCommand } from "./deletions-command.ts";

type BridgeKernel = TestKernel<object, object, BridgeOperations>;

async function runningBridge() {
  const kernel: BridgeKernel = await makeTestKernel({
    service: "comgmt-bridge",
    storeModule: new URL("../store/module.ts", import.meta.url),
    local: {},
    guardrails: {},
  });
  const { stateFolder } = kernel;
  const config = join(stateFolder, "config.json");
  const local = { stateFolder, standalone: { desiredConfigurationFile: "desired.json" } };
  writeFileSync(config, JSON.stringify(local));
  writeFileSync(join(stateFolder, "desired.json"), "{}");
  const wake = (stream: string) => kernel.link.wake(stream);
  const controls = deletionControls({ store: kernel.store, clock: kernel.clock, wake });
  const socket = await serveControlSocket(
    stateFolderAt(stateFolder).controlSocket,
    controls,
    kernel.log,
  );
  return {
    kernel,
    async run(...words: string[]) {
      const [stdout, stderr] = [new PassThrough(), new PassThrough()];
      const line = { name: "bridge", summary: "", version: "1", commands: [deletionsCommand] };
      const [verb = "", ...rest] = words;
      const all = ["deletions", verb, "--config", config, ...rest];
      const exitCode = await runCommandLine(line, all, { stdout, stderr });
      return { exitCode, stdout: String(stdout.read()), stderr: String(stderr.read()) };
    },
    async [Symbol.asyncDispose]() {
      await socket[Symbol.asyncDispose]();
      await kernel[Symbol.asyncDispose]();
    },
  };
}

/** Of 20 devices 10 are missing from two complete scans. */
async function withWaiting({ store }: BridgeKernel): Promise<void> {
  await store.run("takeLease", { source: "CM1", lease: 1, revision: 0, at: 0 });
  for (const [at, count] of [
    [10, 20],
    [20, 10],
    [30, 10],
  ] as const) {
    const whose = { source: "CM1", kind: "device" as const, lease: 1, at };
    const records = Array.from({ length: count }, (_, key) => ({ key: `${key}`, facets: {} }));
    await store.run("applyRange", { ...whose, range: undefined, facets: [], records, pages: {} });
    await store.run("endScan", { ...whose, beganAt: at, maxDeletedShare: 0.02, minDeleted: 5 });
  }
}

test("it lists what waits, and approves it under somebody's name", async () => {
  await using bridge = await runningBridge();
  expect(await bridge.run("list")).toMatchObject({ exitCode: 0, stdout: "no deletion waits\n" });
  await withWaiting(bridge.kernel);
  const listed = await bridge.run("list");
  expect(listed.stdout).toBe(
    [
      "CM1 device: 10 of 20 records wait for an approval",
      ...Array.from(
        { length: 10 },
        (_, n) => `  1${n}: last missed 1970-01-01 00:00 UTC, waits since 1970-01-01 00:00 UTC`,
      ),
      "  their names: configurationManagerSites/CM1/waitingDeletions in the API, or the page of CM1 in the console\n",
    ].join("\n"),
  );
  const approved = await bridge.run("approve", "CM1", "device", "--by", "alice", "--json");
  expect(JSON.parse(approved.stdout)).toEqual({
    source: "CM1",
    kind: "device",
    approved: 10,
    by: "alice",
  });
  expect(bridge.kernel.woken).toEqual(["inventory"]);
  const [audit] = await bridge.kernel.store.query("SELECT payload FROM audit_journal", [], 1);
  expect(JSON.parse(String(audit?.["payload"]))).toMatchObject({ by: "alice", count: 10 });
  const after = JSON.parse((await bridge.run("list", "--json")).stdout);
  expect(after).toMatchObject([{ waiting: 0, approved: 10, first: { length: 10 } }]);
  expect(await bridge.run("approve", "CM1", "device")).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("no deletion of CM1 device waits"),
  });
});

test("a kind that is none is wrong usage", async () => {
  await using bridge = await runningBridge();
  const { exitCode, stderr } = await bridge.run("approve", "CM1", "devices");
  expect(exitCode).toBe(2);
  expect(stderr).toContain("devices: expected one of device, user");
});
