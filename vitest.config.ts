import { defineConfig } from "vitest/config";

/**
 * V8 13 keeps a register of JIT pages that threads with WebAssembly (which strips the types of what a worker loads) can bring
 * out of order where WebAssembly's code is freed: it ends the process with "jit_page.has_value()", or by a signal
 * (nodejs/node#64500). Tests start and end more threads than any service; so no such code is freed or compiled twice.
 */
const execArgv = ["--no-memory-protection-keys", "--no-wasm-code-gc", "--no-wasm-tier-up"];

/** Tests that start processes, each file alone, with time for a slow machine. */
function processTests(name: string) {
  return {
    test: {
      name,
      execArgv,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout: 120_000,
      hookTimeout: 120_000,
      fileParallelism: false,
    },
  };
}

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", execArgv, include: ["*/src/**/*.test.ts"], testTimeout: 20_000 } },
      { test: { name: "architecture", execArgv, include: ["test/architecture/**/*.test.ts"] } },
      { test: { name: "fuzz", execArgv, include: ["*/src/**/*.fuzz.ts"], testTimeout: 60_000 } },
      processTests("interop"),
      processTests("faults"),
      processTests("containers"),
    ],
  },
});
