import { setTimeout as pauseFor } from "node:timers/promises";
import { codeOf } from "@isthmus/shared/errors";
import { ACTIONS_STREAM } from "@isthmus/shared/link/site-messages";
import type { StoredAction } from "../../core/actions/action-state.ts";
import type { ActionParts } from "./action-parts.ts";
import { endOverdue } from "./overdue.ts";
import { pollAction } from "./poll-action.ts";
import { sendQueued } from "./send-queued.ts";
import { settleRequests } from "./settle-requests.ts";

/** Own limits: how often an action is looked at, soon after it began and later. */
const FIRST_LOOK_MS = 5_000;
const LAST_LOOK_MS = 60_000;
const PRUNE_EVERY_MS = 3_600_000;

interface Look {
  readonly at: number;
  readonly everyMs: number;
}

/**
 * Goes through the open actions for as long as there are any: finds out what became of requests without an answer, asks the
 * site how devices fare, sends what waits to be sent, and ends what is overdue.
 */
export class ActionWatch implements Disposable {
  readonly #parts: ActionParts;
  readonly #stop = new AbortController();
  readonly #looks = new Map<string, Look>();
  #wake = Promise.withResolvers<void>();
  #prunedAt = 0;
  #open = 0;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  /** Runs until it is disposed of or the service stops. */
  async run(): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, this.#parts.kernel.signal]);
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      const isIdle = await this.look().then(
        (open) => open === 0,
        (error: unknown) => {
          if (!signal.aborted) {
            this.#parts.kernel.log.error({ err: error }, "actions.watch-failed");
          }
          return false;
        },
      );
      const pause = new AbortController();
      const waiting = AbortSignal.any([signal, pause.signal]);
      const ms = isIdle ? LAST_LOOK_MS : 1_000;
      await Promise.race([
        this.#wake.promise,
        pauseFor(ms, undefined, { signal: waiting, ref: false }).catch(() => {}),
      ]);
      pause.abort();
    }
  }

  /** Actions that were open at the last look. */
  get open(): number {
    return this.#open;
  }

  /** Something has begun. */
  readonly wake = (): void => {
    this.#wake.resolve();
  };

  /** Looks once at each action whose turn it is. Returns how many are open. */
  async look(): Promise<number> {
    const { kernel, locks } = this.#parts;
    await this.#prune();
    const open = await kernel.store.run("openActionIds", { source: this.#parts.siteCode });
    this.#open = open.length;
    const ids = new Set(open);
    for (const id of this.#looks.keys()) if (!ids.has(id)) this.#looks.delete(id);
    for (const id of open) {
      if (kernel.signal.aborted || this.#stop.signal.aborted) break;
      // A command is at it, and may take its time.
      if (locks.isHeld(id)) continue;
      if (!isDue(this.#looks.get(id), kernel.clock.now())) continue;
      const hasMoved = await locks.hold(id, () => this.#lookAt(id));
      this.#plan(id, hasMoved);
    }
    return open.length;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  /** Whether there was news; faults of the site are left for the next look. */
  async #lookAt(id: string): Promise<boolean> {
    const { store, log, link } = this.#parts.kernel;
    const before = await store.run("findAction", { id });
    if (before === undefined || before.isEnded) return false;
    const signal = AbortSignal.any([this.#stop.signal, this.#parts.kernel.signal]);
    const asking = { lane: "hint", signal } as const;
    try {
      await settleRequests(this.#parts, before, asking);
      await pollAction(this.#parts, await this.#again(before), asking);
      await sendQueued(this.#parts, await this.#again(before), asking);
    } catch (error) {
      if (signal.aborted) return false;
      log.warn({ id, code: codeOf(error), err: error }, "action.not-looked-at");
    }
    await endOverdue(this.#parts, await this.#again(before));
    const after = await this.#again(before);
    const hasMoved = JSON.stringify(after) !== JSON.stringify(before);
    if (hasMoved) link.wake(ACTIONS_STREAM);
    return hasMoved;
  }

  async #again(action: StoredAction): Promise<StoredAction> {
    return (await this.#parts.kernel.store.run("findAction", { id: action.id })) ?? action;
  }

  /** Often while there is news, ever less often without. */
  #plan(id: string, hasMoved: boolean): void {
    const before = this.#looks.get(id)?.everyMs ?? FIRST_LOOK_MS / 1.5;
    const everyMs = hasMoved ? FIRST_LOOK_MS : Math.min(before * 1.5, LAST_LOOK_MS);
    this.#looks.set(id, { at: this.#parts.kernel.clock.now() + everyMs, everyMs });
  }

  async #prune(): Promise<void> {
    const { clock, store } = this.#parts.kernel;
    const now = clock.now();
    const passedMs = now - this.#prunedAt;
    if (passedMs >= 0 && passedMs < PRUNE_EVERY_MS) return;
    this.#prunedAt = now;
    await store.run("pruneActions", { now });
  }
}

/** Also where the clock was set back: nothing waits until it has caught up. */
function isDue(look: Look | undefined, now: number): boolean {
  return look === undefined || now >= look.at || look.at - now > look.everyMs;
}
