import type { SignedCommand } from "./messages.ts";

/** A stored command on its way to being run. */
export interface QueuedCommand {
  readonly command: SignedCommand;
  readonly approvedAt?: number | undefined;
  /** Whether a process that is gone had begun it. */
  readonly hasBegun?: boolean;
}

/** What became of a command that was looked at. */
export type ExecutionOutcome = "ended" | "awaits-approval";

type Waiting = QueuedCommand & { readonly isAwaitingApproval?: boolean };

/** Which command may run next: in the order of seq, one of a kind at a time, a few kinds at once, none before its time. */
export class CommandQueue {
  readonly #maxRunning: number;
  readonly #waiting = new Map<string, Waiting>();
  readonly #running = new Map<string, QueuedCommand>();

  constructor(maxRunning: number) {
    this.#maxRunning = maxRunning;
  }

  add(entry: QueuedCommand): void {
    const { id } = entry.command;
    if (!this.#running.has(id)) this.#waiting.set(id, entry);
  }

  /** Forgets a command that has not begun. */
  drop(id: string): void {
    this.#waiting.delete(id);
  }

  clearWaiting(): void {
    this.#waiting.clear();
  }

  /** Takes what may run now out of the queue, and tells when the next one may. Times are the control plane's. */
  takeDue(now: number): { due: QueuedCommand[]; nextAt: number | undefined } {
    const due: QueuedCommand[] = [];
    let nextAt: number | undefined;
    for (const entry of this.#inOrder()) {
      const { command } = entry;
      const at = entry.isAwaitingApproval ? command.expiresAt + 1 : command.notBefore;
      if (at > now) {
        nextAt = Math.min(nextAt ?? at, at);
      } else if (this.#mayRun(command.kind)) {
        this.#waiting.delete(command.id);
        this.#running.set(command.id, entry);
        due.push(entry);
      }
    }
    return { due, nextAt };
  }

  #inOrder(): Waiting[] {
    const byTurn = (a: Waiting, b: Waiting) =>
      Number(b.hasBegun ?? false) - Number(a.hasBegun ?? false) || a.command.seq - b.command.seq;
    return [...this.#waiting.values()].sort(byTurn);
  }

  #mayRun(kind: string): boolean {
    const running = [...this.#running.values()];
    return (
      running.length < this.#maxRunning && !running.some((entry) => entry.command.kind === kind)
    );
  }

  /** Puts away a command that was taken. */
  settle(entry: QueuedCommand, outcome: ExecutionOutcome): void {
    const { id } = entry.command;
    this.#running.delete(id);
    if (outcome === "awaits-approval") {
      this.#waiting.set(id, { ...entry, isAwaitingApproval: true });
    }
  }

  /** Puts a command that was taken back as it was. */
  release(id: string): void {
    const entry = this.#running.get(id);
    this.#running.delete(id);
    if (entry !== undefined) this.#waiting.set(id, entry);
  }

  isAwaitingApproval(id: string): boolean {
    return this.#waiting.get(id)?.isAwaitingApproval ?? false;
  }

  awaitingApproval(): SignedCommand[] {
    return this.#inOrder()
      .filter((entry) => entry.isAwaitingApproval)
      .map((entry) => entry.command);
  }

  approve(id: string, at: number): void {
    const entry = this.#waiting.get(id);
    if (entry === undefined) return;
    this.#waiting.set(id, { ...entry, approvedAt: at, isAwaitingApproval: false });
  }
}
