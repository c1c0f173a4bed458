import type { ChildProcess } from "node:child_process";

const living = new Set<ChildProcess>();

/** Remembers a child until it ends. */
export function remember(child: ChildProcess): void {
  living.add(child);
  child.once("exit", () => living.delete(child));
}

/** Kills whatever still runs, for a bench that is itself told to end. */
export function killChildren(): void {
  for (const child of living) child.kill("SIGKILL");
}
