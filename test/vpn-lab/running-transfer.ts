import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { endChild, LAB, type Lab } from "./namespaces.ts";

const PAYLOAD_PORT = 8_000;

/** A download that goes on while a test does other things. */
export interface RunningTransfer extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Bytes that have been read so far. */
  received(): number;
  /** Takes the rest as fast as it comes. */
  hurry(): void;
  /** SHA-256 of all that came, hex. Rejects where curl ends with a fault. */
  readonly hash: Promise<string>;
}

const LOOK_EVERY_MS = 20;
const MS_PER_SECOND = 1_000;

/**
 * Fetches a payload on the client; `bytesPerSecond` are read, so that packets go both ways all the time. `device` is one of
 * several tunnels.
 */
export function startDownload(
  lab: Lab,
  bytes: number,
  bytesPerSecond: number,
  device?: string,
): RunningTransfer {
  const url = `http://${LAB.internal.ipv4}:${PAYLOAD_PORT}/${bytes}`;
  const words = ["curl", "-sSN", "--fail", "--max-time", "110", url];
  const way = device === undefined ? [] : ["--interface", device];
  const child = lab.start("client", [...words, ...way]);
  const sum = createHash("sha256");
  let received = 0;
  let errors = "";
  let allowance = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    sum.update(chunk);
    received += chunk.length;
    allowance -= chunk.length;
    if (allowance <= 0) child.stdout?.pause();
  });
  const timer = setInterval(() => {
    allowance = Math.min(allowance, 0) + (bytesPerSecond * LOOK_EVERY_MS) / MS_PER_SECOND;
    if (allowance > 0) child.stdout?.resume();
  }, LOOK_EVERY_MS);
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const hash = new Promise<string>((resolve, reject) => {
    child.once("close", (code) => {
      clearInterval(timer);
      if (code === 0) resolve(sum.digest("hex"));
      else reject(new Error(`curl ended with ${code} after ${received} bytes: ${errors}`));
    });
  });
  // Whoever ends the transfer before its end does not ask for the hash.
  hash.catch(() => {});
  const end = () => {
    child.stdout?.resume();
    return endChild(child);
  };
  const hurry = () => {
    clearInterval(timer);
    allowance = Number.POSITIVE_INFINITY;
    child.stdout?.resume();
  };
  const figures = { received: () => received, hurry, hash };
  return { process: child, ...figures, [Symbol.asyncDispose]: end };
}
