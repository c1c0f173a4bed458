import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { endChild, LAB, type Lab } from "../../../test/vpn-lab/namespaces.ts";
import { serving } from "../../../test/vpn-lab/serving.ts";
import { remember } from "../process/children.ts";

export type Direction = "up" | "down";

/** What one transfer moved. */
export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
  /** Segments that the sender's TCP sent again. */
  readonly retransmits: number;
}

/** Packets of one UDP run, as the receiver counted them. */
export interface PacketRun {
  readonly received: number;
  readonly seconds: number;
}

/** What Linux, Windows and macOS have by default. A machine's own choice, such as BBR, would decide how many segments are lost. */
const CONGESTION_CONTROL = "cubic";

/** Beyond the duration, for setting up and the last words. */
const SLACK_MS = 20_000;
const KEPT_CHARACTERS = 1_000;

const PORT = 5_201;
/** iperf3 serves one test at a time, and the one before may have to end first. */
const BUSY_TRIES = 20;
const BUSY_MS = 250;

/** iperf3 as a server on the internal host. */
export interface IperfServer extends AsyncDisposable {
  /** Ends it with whatever it still does, and starts another one. */
  restart(): Promise<void>;
}

export async function startIperfServer(lab: Lab): Promise<IperfServer> {
  let server = await listen(lab);
  return {
    async restart() {
      await endChild(server);
      server = await listen(lab);
    },
    [Symbol.asyncDispose]: () => endChild(server),
  };
}

async function listen(lab: Lab): Promise<ChildProcess> {
  const server = lab.start("internal", ["iperf3", "-s"]);
  remember(server);
  const isReady = async () =>
    (await lab.listeners("internal", PORT)) > 0 && server.exitCode === null;
  await serving("iperf3", server, isReady);
  return server;
}

/** TCP between the client and the internal host through whatever tunnel the client has. */
export async function transfer(
  lab: Lab,
  options: { readonly direction: Direction; readonly streams: number; readonly seconds: number },
): Promise<Transfer> {
  const { direction, streams, seconds } = options;
  const way = direction === "down" ? ["-R"] : [];
  const words = ["-P", `${streams}`, "-C", CONGESTION_CONTROL, ...way];
  const { end } = await ask(lab, seconds, words);
  const { bytes, seconds: took } = end.sum_received;
  return { bytes, seconds: took, retransmits: end.sum_sent.retransmits ?? 0 };
}

/** UDP datagrams of `payload` octets, so many a second: as fast as it can, iperf3 would starve its own control connection. */
export async function packets(
  lab: Lab,
  options: {
    readonly direction: Direction;
    readonly payload: number;
    readonly perSecond: number;
    readonly seconds: number;
  },
): Promise<PacketRun> {
  const { direction, payload, perSecond, seconds } = options;
  const way = direction === "down" ? ["-R"] : [];
  const { end } = await ask(lab, seconds, [
    "-u",
    "-b",
    `${perSecond * payload * 8}`,
    "-l",
    `${payload}`,
    ...way,
  ]);
  const { packets: sent, lost_packets: lost, seconds: took } = end.sum_received ?? end.sum;
  return { received: (sent ?? 0) - (lost ?? 0), seconds: took };
}

interface Sum {
  readonly bytes: number;
  readonly seconds: number;
  readonly retransmits?: number;
  readonly packets?: number;
  readonly lost_packets?: number;
}

interface Report {
  readonly error?: string;
  readonly end: { readonly sum_received: Sum; readonly sum_sent: Sum; readonly sum: Sum };
}

async function ask(lab: Lab, seconds: number, words: readonly string[]): Promise<Report> {
  const command = ["iperf3", "-J", "-c", LAB.internal.ipv4, "-t", `${seconds}`, ...words];
  for (let tries = 1; ; tries++) {
    try {
      const text = await lab.run("client", command, seconds * 1_000 + SLACK_MS);
      const report = JSON.parse(text) as Report;
      // It ends with 0 though the other side went away meanwhile.
      if (report.error !== undefined) throw new Error(report.error);
      return report;
    } catch (error) {
      const why = reason(error);
      const isBusy = why.includes("the server is busy");
      // Without the error itself, which has the whole report in it.
      if (!isBusy || tries === BUSY_TRIES) throw new Error(`${command.join(" ")}: ${why}`);
      await delay(BUSY_MS);
    }
  }
}

/** iperf3 says why it failed at the end of a long report; one that took too long was ended and says nothing. */
function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error ? error.cause : undefined;
  const said = /"error":\s*"([^"]*)"/.exec(text)?.[1];
  if (said !== undefined) return said;
  const wasKilled = cause instanceof Error && "killed" in cause && cause.killed === true;
  return wasKilled ? "it did not end in time" : text.slice(-KEPT_CHARACTERS);
}
