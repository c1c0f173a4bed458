import { defineConfig } from "vitest/config";

/**
 * On processors with memory protection keys V8 13 keeps a register of JIT pages that threads with WebAssembly (which strips
 * the types of what a worker loads) can bring out of order: it ends the process with "jit_page.has_value()"
 * (nodejs/node#64500). Tests start and end more threads than any service.
 */
const execArgv = ["--no-memory-protection-keys"];

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
      { test: { name: "architecture", include: ["test/architecture/**/*.test.ts"] } },
      { test: { name: "fuzz", execArgv, include: ["*/src/**/*.fuzz.ts"], testTimeout: 60_000 } },
      processTests("interop"),
      processTests("faults"),
      processTests("containers"),
    ],
  },
});
