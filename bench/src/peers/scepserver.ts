import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import { findTool } from "../../../test/tools.ts";
import { type Foreign, isListening, startForeign } from "../process/foreign.ts";
import { neededTool } from "./tool.ts";

/** The SCEP server of Debian's package `scep` (micromdm), with one static challenge and its own CA. */
export interface ScepserverPeer extends AsyncDisposable {
  readonly url: URL;
  readonly challenge: string;
  readonly process: Foreign;
}

const CHALLENGE = "bench-challenge";

/** Whether the peer can be had here. */
export function hasScepserver(): boolean {
  return findTool("scepserver") !== undefined;
}

/** Makes a CA with an RSA-2048 key in `folder` and starts the server before it on a free port. */
export async function startScepserver(folder: string): Promise<ScepserverPeer> {
  const program = neededTool("scepserver");
  mkdirSync(folder, { recursive: true });
  const depot = join(folder, "depot");
  execFileSync(program, ["ca", "-init", "-keySize", "2048", "-depot", depot], { stdio: "ignore" });
  const port = await freePort();
  // `-allowrenew 0` lifts its ban on a second certificate within the validity of the first.
  const words = ["-depot", depot, "-port", String(port), "-challenge", CHALLENGE];
  const server = startForeign(program, [...words, "-allowrenew", "0"]);
  await server.until("listener", () => isListening(port));
  return {
    url: new URL(`http://127.0.0.1:${port}/scep`),
    challenge: CHALLENGE,
    process: server,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
