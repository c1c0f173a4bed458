import { AUDIT_STREAM } from "@isthmus/shared/kernel/audit-operations";
import { RelaySessions } from "../core/relay-sessions.ts";
import type { GatewayKernel } from "./gateway-kernel.ts";

/** Own choices: how often the quiet ones are looked for, and how many that a former process left end in one transaction. */
const SWEEP_EVERY_MS = 10_000;
const LEFT_AT_ONCE = 1_000;

/** Keeps in the audit when each device used the relay. */
export class RelaySessionRecord implements AsyncDisposable {
  readonly sessions: RelaySessions;
  readonly #kernel: GatewayKernel;
  readonly #writes = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(kernel: GatewayKernel) {
    this.#kernel = kernel;
    const { clock, store } = kernel;
    this.sessions = new RelaySessions(clock, {
      began: (session) => this.#write(store.run("beginRelaySession", session)),
      ended: (session) => {
        this.#write(store.run("endRelaySession", { ...session, at: clock.now() }));
      },
    });
  }

  /** Ends those that a former process left open. */
  async start(): Promise<void> {
    const { clock, store } = this.#kernel;
    const left = { at: clock.now(), limit: LEFT_AT_ONCE };
    let ended: number;
    do ended = await store.run("endLeftRelaySessions", left);
    while (ended === LEFT_AT_ONCE);
    this.#timer = setInterval(() => this.sessions.sweep(), SWEEP_EVERY_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.sessions.end();
    await Promise.all(this.#writes);
  }

  #write(written: Promise<void>): void {
    const done = written
      .then(() => this.#kernel.link.wake(AUDIT_STREAM))
      .catch((error: unknown) => this.#kernel.log.error({ err: error }, "audit.failed"))
      .finally(() => this.#writes.delete(done));
    this.#writes.add(done);
  }
}
