import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import type { Bench, BenchOptions, BenchOutcome } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { commandFigures } from "./command-figures.ts";
import { fleetFigures } from "./fleet-figures.ts";
import { startControlPlane } from "./measured-control-plane.ts";

/** One control plane node: commands beside a bulk stream, and a fleet of 10,000 connectors on TLS WebSockets. */
export const linkBench: Bench = {
  name: "link",
  summary:
    "command round trips beside a bulk stream; memory and return of 10,000 connectors with TLS",
  defaultRuns: 3,
  run,
};

async function run(options: BenchOptions): Promise<BenchOutcome> {
  options.progress("commands beside a bulk stream");
  const commands = await measureCommands(options, folderAt(options, "commands"));
  const fleet = await fleetFigures(options, folderAt(options, "fleet"), await freePort());
  return { figures: [...commands, ...fleet], notes: NOTES };
}

const NOTES = [
  "a command's time runs from its row to its result in the control plane's store, both durable",
  "the node was killed with SIGKILL; the connectors come back with the suite's own back-off",
  "memory is RSS of the node and its signer process",
];

async function measureCommands(options: BenchOptions, folder: string): Promise<Figure[]> {
  const node = await startControlPlane(folder, await freePort());
  await using _ = node.service;
  return await commandFigures(options, folder, node);
}

function folderAt({ folder }: BenchOptions, name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}
