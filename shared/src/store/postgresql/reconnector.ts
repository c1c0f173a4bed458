import { setTimeout as delay } from "node:timers/promises";
import { ConnectorError } from "../../errors.ts";
import { describePlace, lockNumber, ownSchema, type PostgresqlPlace } from "./place.ts";
import { Session } from "./session.ts";

/** Own limits, ms. Full jitter between attempts; whoever asks meanwhile hears the last error at once. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** A replica that was killed is noticed by the server within this; its name is free then. */
const OWNER_PATIENCE_MS = 5_000;
const OWNER_RETRY_MS = 200;

export interface ReconnectorOptions {
  readonly place: PostgresqlPlace;
  readonly isReadOnly: boolean;
  /** Holds the replica's name, so that no second process works under it. */
  readonly isOwner: boolean;
  readonly statementTimeoutMs?: number | undefined;
}

/** Has a connection at hand, and makes a new one for whoever begins something after it was lost. */
export class Reconnector implements AsyncDisposable {
  readonly #options: ReconnectorOptions;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  #lastError: Error | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #notBefore = 0;

  constructor(options: ReconnectorOptions) {
    this.#options = options;
  }

  /** The connection, unless it is broken. */
  get current(): Session | undefined {
    return this.#session?.isBroken === false ? this.#session : undefined;
  }

  /** @throws ConnectorError of `Session.open`, `store-in-use` where another process has the replica's name. */
  async session(): Promise<Session> {
    const { current } = this;
    if (current !== undefined) return current;
    if (this.#lastError !== undefined && performance.now() < this.#notBefore) throw this.#lastError;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return await this.#opening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session?.[Symbol.asyncDispose]();
  }

  async #open(): Promise<Session> {
    try {
      const { place, isReadOnly, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = this.#options;
      const session = await Session.open({ place, isReadOnly, statementTimeoutMs });
      if (this.#options.isOwner) await this.#takeName(session);
      this.#session = session;
      this.#lastError = undefined;
      this.#pauseMs = FIRST_PAUSE_MS;
      return session;
    } catch (error) {
      this.#lastError = error as Error;
      this.#notBefore = performance.now() + Math.random() * this.#pauseMs;
      this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
      throw error;
    }
  }

  /** The lock is the connection's, so the server gives it back when the process dies, however it dies. */
  async #takeName(session: Session): Promise<void> {
    const { place } = this.#options;
    const number = lockNumber(`replica ${ownSchema(place)}`);
    const text = "SELECT pg_try_advisory_lock($1) AS taken";
    const deadline = performance.now() + OWNER_PATIENCE_MS;
    for (;;) {
      const outcome = await session.run([{ text, values: [number] }]);
      if (outcome.ok && outcome.results[0]?.rows[0]?.["taken"] === 1) return;
      if (!outcome.ok || performance.now() > deadline) break;
      await delay(OWNER_RETRY_MS);
    }
    session.abandon();
    throw new ConnectorError(
      "store-in-use",
      `${describePlace(place)}: the replica's name is in use by another process: each replica has a name of its own`,
      { isRetryable: true },
    );
  }
}
