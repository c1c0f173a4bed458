import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { endChild } from "./namespaces.ts";

const START_TIMEOUT_MS = 20_000;
const LOOK_EVERY_MS = 50;
const KEPT_CHARACTERS = 1_000_000;

/** A server that was started as a child. */
export interface Serving extends AsyncDisposable {
  /** What it has printed, the last of it where that is much. */
  output(): string;
}

/** Waits until it serves; where it ends before, or does not begin in time, it is ended and its words are thrown. */
export async function serving(
  name: string,
  child: ChildProcess,
  isReady: () => Promise<boolean>,
): Promise<Serving> {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => (output = (output + chunk).slice(-KEPT_CHARACTERS)));
  }
  const from = performance.now();
  while (!(await isReady())) {
    if (child.exitCode !== null || performance.now() - from > START_TIMEOUT_MS) {
      await endChild(child);
      throw new Error(`${name} does not listen:\n${output}`);
    }
    await delay(LOOK_EVERY_MS);
  }
  return { output: () => output, [Symbol.asyncDispose]: () => endChild(child) };
}
