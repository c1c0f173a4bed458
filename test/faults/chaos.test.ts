import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { needsRoot } from "../peers.ts";
import { runChaos } from "./chaos/chaos.ts";

const FAULTS = 12;

test("one thing after another goes wrong, and nothing is lost or repeated", async (context) => {
  needsRoot(context);
  using folder = temporaryFolder();
  const lines: string[] = [];
  const report = await runChaos({
    ...{ folder: folder.path, faults: FAULTS, devices: 60, seed: 5 },
    say: (line) => void lines.push(line),
  });
  expect(report.faulty, lines.join("\n")).toEqual([]);
  expect(report.commands).toBeGreaterThan(FAULTS);
}, 900_000);
