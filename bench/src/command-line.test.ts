import { describe, expect, test } from "vitest";
import type { Bench } from "./bench.ts";
import { help, parseCommandLine } from "./command-line.ts";

const bench = (name: string): Bench => ({
  name,
  summary: `about ${name}`,
  defaultRuns: 3,
  run: async () => ({ figures: [], notes: [] }),
});
const KNOWN = [bench("scep"), bench("relay")];

test("takes one or several benches with their defaults", () => {
  expect(parseCommandLine(["relay", "scep"], KNOWN)).toEqual({
    kind: "run",
    benches: [KNOWN[1], KNOWN[0]],
    isJson: false,
    isAsserted: false,
    runs: undefined,
    scale: 1,
  });
});

test("takes all that share a first word", () => {
  const known = [bench("sync-fleet"), bench("synced"), bench("sync-many")];
  expect(parseCommandLine(["sync"], known)).toMatchObject({ benches: [known[0], known[2]] });
});

test("takes its options", () => {
  expect(parseCommandLine(["all", "--json", "--runs", "7", "--scale=0.5"], KNOWN)).toMatchObject({
    kind: "run",
    benches: KNOWN,
    isJson: true,
    runs: 7,
    scale: 0.5,
  });
});

describe("refuses", () => {
  test.each([
    ["no bench", [], "name a bench"],
    ["an unknown bench", ["vpn"], "no bench vpn; there are scep, relay, all"],
    ["no rounds", ["scep", "--runs", "0"], "--runs 0 is not a whole number"],
    ["a fraction of a round", ["scep", "--runs", "1.5"], "--runs 1.5 is not a whole number"],
    ["too many rounds", ["scep", "--runs", "1001"], "from 1 to 1000"],
    ["no work", ["scep", "--scale", "0"], "--scale 0 is not in"],
    ["to assert a try-out", ["scep", "--assert", "--scale", "0.1"], "--assert needs"],
    ["an unknown option", ["scep", "--fast"], "--fast"],
  ])("%s", (_, words, message) => {
    const request = parseCommandLine(words, KNOWN);
    expect(request).toMatchObject({ kind: "fault", message: expect.stringContaining(message) });
  });
});

test("help names every bench", () => {
  expect(parseCommandLine(["--help"], KNOWN)).toEqual({ kind: "help" });
  expect(help(KNOWN)).toMatch(/scep {8}about scep \(--runs 3\)\n {2}relay/);
});
