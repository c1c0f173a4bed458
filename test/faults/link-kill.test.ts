import { type ChildProcess, fork } from "node:child_process";
import { randomInt, randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { Lab } from "./link/lab.ts";
import { SlowLine } from "./link/slow-line.ts";

/** Rounds of each test; each ends with a kill or a cut at a random moment. */
const ROUNDS = fuzzRuns(8);

/** One of the two ends as a process, started again and again. */
class Program implements AsyncDisposable {
  readonly #file: string;
  readonly #arguments: readonly string[];
  #child: ChildProcess | undefined;

  constructor(name: string, folder: string, settings: unknown) {
    this.#file = fileURLToPath(new URL(`./link/${name}.ts`, import.meta.url));
    const settingsFile = join(folder, `${name}.json`);
    writeFileSync(settingsFile, JSON.stringify(settings));
    this.#arguments = [folder, settingsFile];
  }

  async start(): Promise<void> {
    this.#child = fork(this.#file, this.#arguments, { execArgv: [] });
  }

  /** Resolves with the first message for which `isIt` holds; undefined when the process ends before. */
  message(isIt: (message: Record<string, unknown>) => boolean): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const child = this.#child;
    const onMessage = (message: unknown) => {
      if (isIt(message as Record<string, unknown>)) resolve(true);
    };
    const onExit = () => resolve(false);
    child?.on("message", onMessage).on("exit", onExit);
    return promise.finally(() => child?.off("message", onMessage).off("exit", onExit));
  }

  tell(message: object): void {
    if (this.#child?.connected) this.#child.send(message, () => {});
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** Rows of a store that no process has open for writing. */
function rows(file: string, sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database.prepare(sql).all() as Record<string, unknown>[];
  } finally {
    database.close();
  }
}

/** The two ends as programs on the lab's state, with a line between them that can be cut. */
async function programs(lab: Lab) {
  const port = lab.cloud.port;
  const { tls, enrolled } = lab;
  const pem = (key: typeof enrolled.privateKey) =>
    key.export({ type: "pkcs8", format: "pem" }).toString();
  const tenantKeyPem = pem(lab.cloud.tenantKey);
  await lab.disconnect();
  await lab.store[Symbol.asyncDispose]();
  await lab.stopCloud();
  const line = await SlowLine.start({ port, bytesPerSecond: 100_000_000 });
  const linkUrl = enrolled.answer.linkUrl.replace(/:\d+/, `:${line.port}`);
  const folder = lab.folder.path;
  const cloud = new Program("control-plane-process", folder, { tls, tenantKeyPem, port });
  const connector = new Program("connector-process", folder, {
    service: enrolled.service,
    privateKeyPem: pem(enrolled.privateKey),
    answer: { ...enrolled.answer, linkUrl },
  });
  return { cloud, connector, line };
}

/** Queues commands one after the other and remembers each that the control plane confirmed. */
async function keepCommanding(cloud: Program, connectorId: string, signal: AbortSignal) {
  const confirmed: string[] = [];
  while (!signal.aborted) {
    const id = randomUUID();
    const isQueued = cloud.message((message) => message["queued"] === id);
    cloud.tell({ connectorId, id });
    if (await Promise.race([isQueued, delay(2_000, false)])) confirmed.push(id);
    await delay(5);
  }
  return confirmed;
}

test.each([
  ["the connector is killed", "connector"],
  ["the control plane is killed", "cloud"],
  ["both are killed", "both"],
  ["the connection is cut", "line"],
] as const)(
  "when %s at random moments, nothing is lost, nothing repeated",
  async (_what, victim) => {
    await using lab = await Lab.start();
    const { connectorId } = lab;
    const ends = await programs(lab);
    await using cloud = ends.cloud;
    await using connector = ends.connector;
    await using line = ends.line;
    const startCloud = async () => {
      await cloud.start();
      await cloud.message((message) => message["ready"] === true);
    };
    await startCloud();
    await connector.start();
    const stop = new AbortController();
    const commanding = keepCommanding(cloud, connectorId, stop.signal);
    for (let round = 0; round < ROUNDS; round++) {
      await delay(randomInt(200, 1_200));
      if (victim === "line") line.cut();
      if (victim !== "line" && victim !== "cloud") await connector.kill();
      if (victim === "cloud" || victim === "both") {
        await cloud.kill();
        await startCloud();
      }
      if (victim !== "line" && victim !== "cloud") await connector.start();
    }
    stop.abort();
    const confirmed = await commanding;
    const cloudFile = join(lab.folder.path, "control-plane.db");
    const connectorFile = join(lab.folder.path, "connector.db");
    const open = "SELECT count(*) AS n FROM command WHERE state <> 'succeeded'";
    await until(() => rows(cloudFile, open)[0]?.["n"] === 0, "all commands to end", 60_000);
    await connector.kill();
    // What was issued last is told by the next start; then the connector stands still.
    const issued = rows(connectorFile, "SELECT max(number) AS n FROM certificate")[0]?.["n"];
    await connector.start();
    const last = `SELECT 1 FROM issued_certificate WHERE transaction_id = 't-${issued}'`;
    await until(() => rows(cloudFile, last).length === 1, "the last certificate", 60_000);
    await connector.kill();
    await cloud.kill();
    const certificates = `SELECT count(*) AS n FROM issued_certificate
    WHERE CAST(substr(transaction_id, 3) AS INTEGER) <= ${issued}`;
    expect(rows(cloudFile, certificates)[0]?.["n"]).toBe(issued);
    expect(rows(cloudFile, "SELECT count(*) AS n FROM dead_letter")[0]?.["n"]).toBe(0);
    const effects = rows(connectorFile, "SELECT command_id FROM effect").map(
      (e) => e["command_id"],
    );
    expect(new Set(effects).size).toBe(effects.length);
    expect(confirmed.length).toBeGreaterThan(ROUNDS);
    expect(confirmed.filter((id) => !effects.includes(id))).toEqual([]);
    expect(
      rows(cloudFile, "SELECT 1 FROM connector_event WHERE event <> 'connector.enrolled'"),
    ).toEqual([]);
  },
  240_000,
);
