import type { ChildProcess } from "node:child_process";
import { endChild, LAB, type Lab } from "./namespaces.ts";
import { serving } from "./serving.ts";

const PORT = 5_202;
/** Each way: little beside other work, and still packets all the time. */
const BITS_PER_SECOND = "4M";
const WRITE_OCTETS = "8K";
/** It is ended before. */
const SECONDS_AT_MOST = 300;
const KEPT_CHARACTERS = 100_000;

/** What TCP brought in one second, as iperf3 on the client printed it. */
export interface IperfSecond {
  readonly direction: "up" | "down";
  /** Since its start. */
  readonly from: number;
  readonly octets: number;
}

/** iperf3 with one TCP connection each way through a client's tunnel, until it is ended. */
export interface RunningIperf extends AsyncDisposable {
  readonly process: ChildProcess;
  output(): string;
  /** Its seconds so far, whole ones only. */
  seconds(): readonly IperfSecond[];
}

export async function startIperf(lab: Lab): Promise<RunningIperf> {
  const server = lab.start("internal", ["iperf3", "-s", "-1", "-p", `${PORT}`]);
  const isReady = async () => (await lab.listeners("internal", PORT)) > 0;
  await serving("iperf3", server, isReady);
  const rate = ["-b", BITS_PER_SECOND, "-l", WRITE_OCTETS];
  const target = ["-c", LAB.internal.ipv4, "-p", `${PORT}`];
  const words = [...target, "--bidir", ...rate, "-i", "1", "--forceflush"];
  const client = lab.start("client", ["iperf3", ...words, "-t", `${SECONDS_AT_MOST}`]);
  let output = "";
  for (const stream of [client.stdout, client.stderr]) {
    stream?.on("data", (chunk: Buffer) => (output = (output + chunk).slice(-KEPT_CHARACTERS)));
  }
  return {
    process: client,
    output: () => output,
    seconds: () => secondsOf(output),
    async [Symbol.asyncDispose]() {
      await endChild(client);
      await endChild(server);
    },
  };
}

const UNITS = { "": 1, K: 1_024, M: 1_048_576, G: 1_073_741_824 } as const;

function secondsOf(output: string): IperfSecond[] {
  const line = /^\[ *\d+\]\[(TX|RX)-C\] +([\d.]+)-([\d.]+) +sec +([\d.]+) ([KMG]?)Bytes.*$/gm;
  return [...output.matchAll(line)].flatMap(([, way, from, to, count, unit]) => {
    if (Number(to) - Number(from) < 0.9) return [];
    const octets = Number(count) * UNITS[(unit ?? "") as keyof typeof UNITS];
    return [{ direction: way === "TX" ? "up" : "down", from: Number(from), octets } as const];
  });
}
