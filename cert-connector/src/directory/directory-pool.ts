import {
  connectToDirectory,
  type DirectoryAddress,
} from "@isthmus/shared/directory/directory-connection";
import { directoryError, resultCodeOf } from "@isthmus/shared/directory/directory-error";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Client } from "ldapts";

/** Our own limit: who waits beyond it is turned away at once, rather than after the device has given up. */
const MAX_WAITING = 256;

/**
 * At most `maxConnections` connections to one directory, opened when they are needed. One that fails is thrown away, and
 * what was asked is asked once more on a new one: all that is asked here may be repeated.
 */
export class DirectoryPool implements AsyncDisposable {
  readonly #address: DirectoryAddress;
  readonly #maxConnections: number;
  readonly #idle: Client[] = [];
  readonly #waiting: ((isGranted: boolean) => void)[] = [];
  #inUse = 0;
  #isEnded = false;
  /** Of the last contact, for health. */
  #failure: ConnectorError | undefined;

  constructor(address: DirectoryAddress, maxConnections: number) {
    this.#address = address;
    this.#maxConnections = maxConnections;
  }

  get name(): string {
    return this.#address.name;
  }

  /** Why the last contact failed; undefined if it did not, or there was none yet. */
  get failure(): ConnectorError | undefined {
    return this.#failure;
  }

  /**
   * Runs `ask` on a connection of its own. Throws ConnectorError `directory-busy`, `directory-unreachable` (retryable),
   * `directory-credentials`, `directory-answer`; a refusal of `ask` as it is.
   */
  async run<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      const answer = await this.#askTwice(ask);
      this.#failure = undefined;
      return answer;
    } catch (error) {
      const failure = directoryError(this.name, error);
      this.#failure = failure;
      throw failure;
    } finally {
      this.#leave();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    for (const wake of this.#waiting.splice(0)) wake(false);
    await Promise.all(this.#idle.splice(0).map(close));
  }

  async #askTwice<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    const kept = this.#idle.pop();
    if (kept?.isConnected) {
      try {
        return await this.#askOn(kept, ask);
      } catch (error) {
        // A connection that was idle may have been closed meanwhile: nothing is known of the directory yet.
        if (error instanceof ConnectorError || resultCodeOf(error) !== undefined) throw error;
      }
    }
    return await this.#askOn(await connectToDirectory(this.#address), ask);
  }

  async #askOn<T>(client: Client, ask: (client: Client) => Promise<T>): Promise<T> {
    try {
      const answer = await ask(client);
      this.#keep(client);
      return answer;
    } catch (error) {
      if (resultCodeOf(error) !== undefined || error instanceof ConnectorError) this.#keep(client);
      else await close(client);
      throw error;
    }
  }

  #keep(client: Client): void {
    if (this.#isEnded || !client.isConnected) void close(client);
    else this.#idle.push(client);
  }

  async #enter(): Promise<void> {
    if (this.#isEnded) throw this.#refusal("directory-unreachable", "is closed");
    if (this.#inUse < this.#maxConnections) {
      this.#inUse += 1;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) {
      throw this.#refusal("directory-busy", `has ${MAX_WAITING} requests waiting already`);
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push(resolve);
    if (!(await promise)) throw this.#refusal("directory-unreachable", "is closed");
  }

  /** Hands its place to who waits longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inUse -= 1;
    else next(true);
  }

  #refusal(code: string, what: string): ConnectorError {
    return new ConnectorError(code, `directory ${this.name} ${what}`, { isRetryable: true });
  }
}

async function close(client: Client): Promise<void> {
  await client.unbind().catch(() => undefined);
}
