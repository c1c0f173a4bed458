import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import type { GraphClient } from "@isthmus/suite/process/graph-client";
import type { BenchOptions } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { quantile } from "../measure/statistics.ts";
import { startProgram } from "../process/program.ts";
import type { BusyConnectorProgram } from "./busy-connector.ts";
import { type MeasuredControlPlane, signIn } from "./measured-control-plane.ts";

const COMMANDS = 500;
const PAUSE_BETWEEN_MS = 20;
const LOOK_EVERY_MS = 1;
/** A result later than this ends the bench: something is broken, not slow. */
const RESULT_TIMEOUT_MS = 30_000;
/** Budget: the spine's requirements, a command under 100 ms at p99 on loopback beside a bulk stream. */
const ROUND_TRIP_BUDGET_MS = { atMost: 100 };

/** Round trips of commands to one connector that sends a bulk stream, and before that without it. */
export async function commandFigures(
  options: BenchOptions,
  folder: string,
  node: MeasuredControlPlane,
): Promise<Figure[]> {
  const graph = await signIn(folder, node);
  await using connector = await startProgram<BusyConnectorProgram>(
    new URL("./busy-connector.ts", import.meta.url),
  );
  const { token } = await graph.post<{ token: string }>("/enrolmentTokens", {
    service: "cert-connector",
  });
  const connectorId = await connector.ask("connect", { token, folder: options.folder });
  using results = new CommandResults(node.databaseFile);
  const count = Math.ceil(COMMANDS * options.scale);
  const quiet = await roundTrips(graph, results, connectorId, count);
  await connector.ask("sendBulk", null);
  const before = await connector.ask("acknowledged", null);
  const started = performance.now();
  const busy = await roundTrips(graph, results, connectorId, count);
  const seconds = (performance.now() - started) / 1000;
  const entries = (await connector.ask("acknowledged", null)) - before;
  return [
    figure("command round trip beside a bulk stream: p50", "ms", quantile(busy, 0.5)),
    figure(
      "command round trip beside a bulk stream: p99",
      "ms",
      quantile(busy, 0.99),
      ROUND_TRIP_BUDGET_MS,
    ),
    figure("command round trip beside a bulk stream: slowest", "ms", Math.max(...busy)),
    figure("bulk stream meanwhile", "entries/s", entries / seconds),
    figure("command round trip without: p50", "ms", quantile(quiet, 0.5)),
    figure("command round trip without: p99", "ms", quantile(quiet, 0.99)),
  ];
}

/** One command after the other; milliseconds from its insert to its result, both in the control plane's store. */
async function roundTrips(
  graph: GraphClient,
  results: CommandResults,
  connectorId: string,
  count: number,
): Promise<number[]> {
  const durations: number[] = [];
  for (let index = 0; index < count; index++) {
    const order = { connectorId, kind: "health.report" };
    const { id } = await graph.post<{ id: string }>("/commands", order);
    durations.push(await results.durationOf(id));
    await delay(PAUSE_BETWEEN_MS);
  }
  return durations;
}

/** Looks into the store itself: asking the API would measure the API, and load what is measured. */
class CommandResults implements Disposable {
  readonly #database: DatabaseSync;

  constructor(file: string) {
    this.#database = new DatabaseSync(file, { readOnly: true });
  }

  /** Milliseconds from the command's insert until its result was seen in the store, to about 1 ms. */
  async durationOf(id: string): Promise<number> {
    const deadline = Date.now() + RESULT_TIMEOUT_MS;
    const find = this.#database.prepare(
      "SELECT state, created_at, error FROM command WHERE id = ?",
    );
    for (;;) {
      const row = find.get(id);
      if (row?.["state"] === "succeeded") return Date.now() - Number(row["created_at"]);
      if (row?.["error"]) throw new Error(`command ${id} is ${row["state"]}: ${row["error"]}`);
      if (Date.now() > deadline) throw new Error(`command ${id} is still ${row?.["state"]}`);
      await delay(LOOK_EVERY_MS);
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
