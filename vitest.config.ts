import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/**
 * V8 13 keeps a register of JIT pages that threads with WebAssembly (which strips the types of what a worker loads) can bring
 * out of order where WebAssembly's code is freed: it ends the process with "jit_page.has_value()", or by a signal
 * (nodejs/node#64500). Tests start and end more threads than any service; so no such code is freed or compiled twice.
 */
const execArgv = ["--no-memory-protection-keys", "--no-wasm-code-gc", "--no-wasm-tier-up"];

/** Vitest alone would leave one of two cores idle. */
const CORES = Math.max(2, availableParallelism());
/** Files whose processes wait for each other's timers more than they compute. */
const WAITING = CORES + 1;
/** They set up the host's network, measure, or start a suite at the ports of its defaults: each has the machine to itself. */
const ALONE = ["test/{interop,faults}/{vpn-*,host-*,start,tour}.test.ts"];

/** Tests that start processes, with time for a slow machine. */
function processTests(name: string, include: string[], exclude: string[], files: Files) {
  const test = { name, execArgv, include, exclude, testTimeout: 120_000, hookTimeout: 120_000 };
  return { test: { ...test, maxWorkers: files.atOnce, sequence: { groupOrder: files.order } } };
}

interface Files {
  readonly atOnce: number;
  /** Projects of one order share their workers, of which each has to want the same number; the next order comes after them. */
  readonly order: number;
}

const short = { execArgv, maxWorkers: CORES, sequence: { groupOrder: 1 } };
const waiting = { atOnce: WAITING, order: 2 };

export default defineConfig({
  test: {
    projects: [
      { test: { ...short, name: "unit", include: ["*/src/**/*.test.ts"], testTimeout: 20_000 } },
      { test: { ...short, name: "architecture", include: ["test/architecture/**/*.test.ts"] } },
      { test: { ...short, name: "fuzz", include: ["*/src/**/*.fuzz.ts"], testTimeout: 60_000 } },
      processTests("interop", ["test/interop/**/*.test.ts"], ALONE, waiting),
      processTests("faults", ["test/faults/**/*.test.ts"], ALONE, waiting),
      processTests("alone", ALONE, [], { atOnce: 1, order: 3 }),
      processTests("containers", ["test/containers/**/*.test.ts"], [], { atOnce: 1, order: 3 }),
    ],
  },
});
