import { defineConfig } from "vitest/config";

/** Tests that start processes, each file alone, with time for a slow machine. */
function processTests(name: string) {
  return {
    test: {
      name,
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
      { test: { name: "unit", include: ["*/src/**/*.test.ts"], testTimeout: 20_000 } },
      { test: { name: "architecture", include: ["test/architecture/**/*.test.ts"] } },
      { test: { name: "fuzz", include: ["*/src/**/*.fuzz.ts"], testTimeout: 60_000 } },
      processTests("interop"),
      processTests("faults"),
      processTests("containers"),
    ],
  },
});
