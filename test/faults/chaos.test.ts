import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { needsRoot } from "../peers.ts";
import { NAMED_FAULTS, runChaos } from "./chaos/chaos.ts";

/** Each that is named, once. */
const FAULTS = NAMED_FAULTS.length;

test("one thing after another goes wrong, and nothing is lost or repeated", async (context) => {
  needsRoot(context);
  using folder = temporaryFolder();
  const lines: string[] = [];
  const report = await runChaos({
    ...{ folder: folder.path, faults: FAULTS, devices: 60, seed: 37 },
    say: (line) => void lines.push(line),
  });
  expect(report.faulty, lines.join("\n")).toEqual([]);
  const struck = NAMED_FAULTS.filter((name) => (report.faults[name]?.strikes ?? 0) > 0);
  expect(struck).toEqual(NAMED_FAULTS);
  const taken = Object.values(report.actions).reduce((sum, count) => sum + count, 0);
  expect(taken).toBeGreaterThan(FAULTS);
}, 900_000);
