import { setTimeout as delay } from "node:timers/promises";
import type { ActionNews } from "../core/ports.ts";

/** Those who follow actions as they go: each is woken by news of its own, or looks by itself after a while. */
export class ActionFollowers implements ActionNews {
  readonly #waiting = new Map<string, Set<() => void>>();

  tell(actionIds: readonly string[]): void {
    for (const id of actionIds) {
      for (const wake of this.#waiting.get(id) ?? []) wake();
    }
  }

  /** Resolves with the next news of an action, after `atMostMs`, or when the signal aborts. */
  async next(actionId: string, atMostMs: number, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const wake = () => stop.abort();
    const waiting = this.#waiting.get(actionId) ?? new Set();
    this.#waiting.set(actionId, waiting.add(wake));
    try {
      await delay(atMostMs, undefined, { signal: either, ref: false });
    } catch {
      // Woken, or nobody listens any more: either is an end of the wait.
    } finally {
      waiting.delete(wake);
      if (waiting.size === 0) this.#waiting.delete(actionId);
    }
  }
}
