import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { endChild, LAB, type Lab } from "./namespaces.ts";

const PAYLOAD_PORT = 8_000;

/** A download that goes on while a test does other things. */
export interface RunningTransfer extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Bytes that have been read so far. */
  received(): number;
  /** Reads no further than `holdAt` until this is called. */
  release(): void;
  /** SHA-256 of all that came, hex. Rejects where curl ends with a fault. */
  readonly hash: Promise<string>;
}

/** Fetches a payload on the client; in full speed as far as `holdAt` bytes, or at a speed that is given. */
export function startDownload(
  lab: Lab,
  bytes: number,
  pace: { readonly holdAt?: number; readonly bytesPerSecond?: number } = {},
): RunningTransfer {
  const limit = pace.bytesPerSecond ? ["--limit-rate", `${pace.bytesPerSecond}`] : [];
  const url = `http://${LAB.internal.ipv4}:${PAYLOAD_PORT}/${bytes}`;
  const words = ["curl", "-sS", "--fail", "--max-time", "110", ...limit, url];
  const child = lab.start("client", words);
  let holdAt = pace.holdAt ?? Number.POSITIVE_INFINITY;
  const sum = createHash("sha256");
  let received = 0;
  let errors = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    sum.update(chunk);
    received += chunk.length;
    if (received >= holdAt) child.stdout?.pause();
  });
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const hash = new Promise<string>((resolve, reject) => {
    child.once("close", (code) => {
      if (code === 0) resolve(sum.digest("hex"));
      else reject(new Error(`curl ended with ${code} after ${received} bytes: ${errors}`));
    });
  });
  // Whoever ends the transfer before its end does not ask for the hash.
  hash.catch(() => {});
  return {
    process: child,
    received: () => received,
    release() {
      holdAt = Number.POSITIVE_INFINITY;
      child.stdout?.resume();
    },
    hash,
    [Symbol.asyncDispose]: () => endChild(child),
  };
}
