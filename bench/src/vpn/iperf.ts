import type { ChildProcess } from "node:child_process";
import { endChild, LAB, type Lab } from "../../../test/vpn-lab/namespaces.ts";

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

/** iperf3 as a server on the internal host. */
export async function startIperfServer(lab: Lab): Promise<ChildProcess & AsyncDisposable> {
  const server = lab.start("internal", ["iperf3", "-s"]);
  server.stdout?.resume();
  server.stderr?.resume();
  for (;;) {
    const sockets = await lab.run("internal", ["ss", "-Hltn", "sport = :5201"]);
    if (sockets.trim() !== "") break;
  }
  return Object.assign(server, { [Symbol.asyncDispose]: () => endChild(server) });
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

async function ask(
  lab: Lab,
  seconds: number,
  words: readonly string[],
): Promise<{
  readonly end: { readonly sum_received: Sum; readonly sum_sent: Sum; readonly sum: Sum };
}> {
  const command = ["iperf3", "-J", "-c", LAB.internal.ipv4, "-t", `${seconds}`, ...words];
  return JSON.parse(await lab.run("client", command, seconds * 1_000 + SLACK_MS));
}
