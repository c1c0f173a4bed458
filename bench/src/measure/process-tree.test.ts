import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { parseProcessStat, treeCpuSeconds, treeMemory, treeResidentBytes } from "./process-tree.ts";

const LINE =
  "4242 (a (b) c) S 17 4242 4242 0 -1 4194304 100 0 0 0 150 50 25 75 20 0 11 0 154669 3133440 382 1 0 0 0";

test("reads pid, parent and CPU seconds behind a name that holds spaces and parentheses", () => {
  expect(parseProcessStat(LINE)).toEqual({
    pid: 4242,
    parentPid: 17,
    cpuSeconds: 2,
    reapedCpuSeconds: 1,
  });
});

test("counts what a living child burns to its parent", async () => {
  const before = treeCpuSeconds(process.pid);
  const burner = spawn(process.execPath, [
    "-e",
    "while (process.cpuUsage().user < 300_000); console.log(1); setInterval(() => {}, 1e6)",
  ]);
  try {
    await once(burner.stdout, "data");
    expect(treeCpuSeconds(process.pid) - before).toBeGreaterThanOrEqual(0.29);
    expect(treeCpuSeconds(burner.pid ?? 0)).toBeLessThan(treeCpuSeconds(process.pid));
  } finally {
    burner.kill();
  }
});

test("reads the memory of a living process", () => {
  const { residentBytes, peakBytes } = treeMemory(process.pid);
  expect(residentBytes).toBeGreaterThan(10_000_000);
  expect(peakBytes).toBeGreaterThanOrEqual(residentBytes);
  expect(treeResidentBytes(process.pid)).toBeGreaterThan(10_000_000);
});

test("says so when the process is gone", async () => {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  expect(() => treeCpuSeconds(child.pid ?? 0)).toThrow(/has ended/);
});
