import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import { ConnectorError, codeOf, RefusalError } from "../errors.ts";
import type { ExecutionOutcome, QueuedCommand } from "./command-queue.ts";
import type { LaneStore } from "./lane-store.ts";
import type { LinkLog } from "./link-log.ts";
import type { CommandResult, CommandState, CommandWait, SignedCommand } from "./messages.ts";

/** How a command ended whose process died, as far as the far end can tell; `not-run` lets it run now. */
export type Reconciliation = "succeeded" | "failed" | "unknown" | "not-run";

/** Whoever decides on commands and runs them. */
export interface CommandRunner {
  /**
   * The guardrails, before intent is stored. `approvedAt` is when somebody on the host approved it. Throws RefusalError with
   * the rule.
   */
  judge(command: SignedCommand, approvedAt: number | undefined): Promise<"run" | "await-approval">;
  /** What a command that was last judged `await-approval` waits for, for whoever asked for it. */
  waitOf?(command: SignedCommand): CommandWait | undefined;
  /** Runs it; what it returns is JSON and goes to the control plane. `signal` aborts on cancel and on stop. */
  run(command: SignedCommand, signal: AbortSignal, approvedAt?: number): Promise<unknown>;
  /** Finds out what a command has done that had begun when the process died. */
  reconcile(command: SignedCommand, approvedAt?: number): Promise<Reconciliation>;
}

interface ExecutorOptions {
  readonly store: LaneStore;
  readonly runner: CommandRunner;
  readonly clock: Clock;
  readonly cloudNow: () => number;
  readonly log: LinkLog;
  /** Aborts when the service stops. */
  readonly signal: AbortSignal;
  readonly onProgress: (id: string, state: CommandState) => void;
  readonly onReported: () => void;
}

type End = Pick<CommandResult, "state" | "error"> & { readonly result?: unknown };

const MAX_MESSAGE_LENGTH = 1_024;
const RETRY_MS = 1_000;

/**
 * Takes one command through its steps:
 *
 *     waiting ──judge──▶ refused
 *        │  └──────────▶ awaits approval
 *        ▼
 *     intent stored ──run──▶ succeeded | failed ──▶ result stored with its report
 *        │ (process dies)
 *        └──reconcile──▶ succeeded | failed | unknown | run again
 */
export class CommandExecutor {
  readonly #options: ExecutorOptions;
  readonly #stops = new Map<string, AbortController>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Asks a running command to stop. */
  stop(id: string): void {
    this.#stops
      .get(id)
      ?.abort(new ConnectorError("command-cancelled", "the command was cancelled"));
  }

  /** Rejects only with store errors. */
  async execute(entry: QueuedCommand): Promise<ExecutionOutcome> {
    const { command } = entry;
    if (entry.hasBegun) return await this.#takeUp(entry);
    // Past its expiry nothing is judged any more: the store ends it.
    if (command.expiresAt >= this.#options.cloudNow()) {
      const judged = await this.#judge(entry);
      if (judged === "await-approval") return "awaits-approval";
      if (judged !== "run") return await this.#finish(command, judged);
    }
    const begun = await this.#options.store.run("beginCommand", {
      id: command.id,
      now: this.#options.clock.now(),
      cloudNow: this.#options.cloudNow(),
    });
    if (begun === "expired") this.#options.onReported();
    if (begun !== "begun") return "ended";
    return await this.#run(entry);
  }

  async #judge({ command, approvedAt }: QueuedCommand): Promise<"run" | "await-approval" | End> {
    try {
      return await this.#options.runner.judge(command, approvedAt);
    } catch (error) {
      const state = error instanceof RefusalError ? "refused" : "failed";
      return { state, error: this.#told(command, error) };
    }
  }

  async #run(entry: QueuedCommand): Promise<ExecutionOutcome> {
    const { command } = entry;
    this.#options.onProgress(command.id, "running");
    const stop = new AbortController();
    this.#stops.set(command.id, stop);
    const end = await this.#effect(entry, AbortSignal.any([stop.signal, this.#options.signal]));
    this.#stops.delete(command.id);
    // Cut short by a stop of the service, not by a fault of its own: it stays begun, and the next start takes it up.
    if (end.state === "failed" && this.#options.signal.aborted) return "ended";
    return await this.#finish(command, end);
  }

  async #effect({ command, approvedAt }: QueuedCommand, signal: AbortSignal): Promise<End> {
    try {
      const result = await this.#options.runner.run(command, signal, approvedAt);
      return { state: "succeeded", ...(result !== undefined && { result }) };
    } catch (error) {
      // Between judging and running a limit may have been reached: a refusal all the same.
      const state = error instanceof RefusalError ? "refused" : "failed";
      return { state, error: this.#told(command, error) };
    }
  }

  async #takeUp(entry: QueuedCommand): Promise<ExecutionOutcome> {
    const { command, approvedAt } = entry;
    const { runner } = this.#options;
    const found = await runner.reconcile(command, approvedAt).catch((error: unknown) => {
      this.#told(command, error);
      return "unknown" as const;
    });
    if (found === "not-run") return await this.#run(entry);
    return await this.#finish(command, { state: found });
  }

  /** The effect is there, so its end has to be stored: again and again until the store takes it or the service stops. */
  async #finish(command: SignedCommand, end: End): Promise<ExecutionOutcome> {
    const { store, clock, signal, log } = this.#options;
    const finished = { id: command.id, now: clock.now(), ...end };
    for (;;) {
      try {
        await store.run("finishCommand", finished);
        this.#options.onReported();
        return "ended";
      } catch (error) {
        log.warn({ id: command.id, code: codeOf(error), err: error }, "command.end-not-stored");
        if (signal.aborted) return "ended";
        await delay(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  /** An error as the control plane is told of it: an unknown one leaves without detail. */
  #told(command: SignedCommand, error: unknown): NonNullable<CommandResult["error"]> {
    const { id, kind } = command;
    if (error instanceof RefusalError) {
      this.#options.log.info({ id, kind, code: error.code, rule: error.rule }, "command.refused");
      return { code: error.code, message: cut(error.message), rule: error.rule };
    }
    this.#options.log.warn({ id, kind, err: error }, "command.failed");
    if (error instanceof ConnectorError) return { code: error.code, message: cut(error.message) };
    return {
      code: "internal",
      message: "the connector met an unexpected error; its log says more",
    };
  }
}

function cut(message: string): string {
  return message.slice(0, MAX_MESSAGE_LENGTH);
}
