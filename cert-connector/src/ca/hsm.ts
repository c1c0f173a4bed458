import { setTimeout as delay } from "node:timers/promises";
import { ConnectorError } from "@isthmus/shared/errors";
import { BackOff } from "@isthmus/shared/link/back-off";
import type { Random } from "@isthmus/shared/random";
import { HsmClient, SessionLostError } from "./pkcs11-client.ts";
import type { HsmActKind, HsmActs, HsmAnswers, HsmPlace, HsmToken } from "./pkcs11-messages.ts";
import type { PinMemory } from "./pkcs11-pin.ts";

/** Our own limits: how many acts wait for a session, and how long one of each kind may take with its wait. */
const MAX_WAITING = 1_000;
const OPEN_TIMEOUT_MS = 30_000;
/** Of 3072 bits on a small device. */
const GENERATE_TIMEOUT_MS = 180_000;
/** A session that was lost so soon is not opened again without a short wait, in which acts wait too. */
const SHORT_SESSION_MS = 250;

export interface HsmParts {
  readonly place: HsmPlace;
  /** Of one signature or decryption, ms. */
  readonly timeoutMs: number;
  readonly random: Random;
  /** Where there is a state folder. */
  readonly pins?: PinMemory | undefined;
  readonly onLost?: (error: ConnectorError) => void;
  readonly onOpened?: (token: HsmToken) => void;
}

/**
 * A hardware security module with one token open. A session that is lost is opened again at once and then with growing
 * waits; the act that found it lost is done again once, since no act here changes anything in the token.
 *
 *     open --(act fails, process ends, no answer)--> lost --(opened)--> open
 *                                                     | ^
 *                                                     +-+ (cannot be opened: wait)
 */
export class Hsm implements AsyncDisposable {
  readonly #parts: HsmParts;
  readonly #backOff: BackOff;
  readonly #ended = new AbortController();
  readonly #queue: PromiseWithResolvers<void>[] = [];
  #client: HsmClient | undefined;
  #token: HsmToken | undefined;
  #fault: ConnectorError | undefined;
  #openedAt = 0;
  /** The client whose token is being opened. */
  #opening: HsmClient | undefined;
  #attempt: Promise<HsmClient> | undefined;
  #underWay = 0;

  private constructor(parts: HsmParts) {
    this.#parts = parts;
    this.#backOff = new BackOff(parts.random);
  }

  /** Opens the token; throws ConnectorError `hsm-*` where that fails the first time. */
  static async open(parts: HsmParts): Promise<Hsm> {
    const hsm = new Hsm(parts);
    await hsm.#open();
    return hsm;
  }

  /** Why nothing can be done with the token now; undefined if it is open. */
  get fault(): ConnectorError | undefined {
    return this.#client === undefined ? this.#fault : undefined;
  }

  /** What the token says of itself. */
  get token(): HsmToken | undefined {
    return this.#token;
  }

  /**
   * Has an act done, as soon as a session is free. Throws ConnectorError `hsm-unavailable`, `hsm-busy` (both retryable), and
   * `hsm-*` for what a person has to mend.
   */
  async perform<Kind extends HsmActKind>(
    kind: Kind,
    act: HsmActs[Kind],
  ): Promise<HsmAnswers[Kind]> {
    await this.#enter();
    try {
      return await this.#perform(kind, act);
    } finally {
      this.#leave();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    this.#fault = new SessionLostError("HSM: it was closed");
    this.#client?.end();
    this.#opening?.end();
    this.#client = undefined;
    await this.#attempt?.catch(() => undefined);
  }

  async #perform<Kind extends HsmActKind>(
    kind: Kind,
    act: HsmActs[Kind],
  ): Promise<HsmAnswers[Kind]> {
    const timeoutMs = kind === "generate" ? GENERATE_TIMEOUT_MS : this.#parts.timeoutMs;
    const client = await this.#present();
    try {
      return await client.ask(kind, act, timeoutMs);
    } catch (error) {
      if (!(error instanceof SessionLostError) || kind === "generate") throw error;
      return await (await this.#present()).ask(kind, act, timeoutMs);
    }
  }

  /** The open token, or the one that is being opened just now; a token that is away is not waited for. */
  async #present(): Promise<HsmClient> {
    const client = this.#client ?? (await this.#attempt?.catch(() => undefined));
    if (client !== undefined) return client;
    const reason = this.#fault?.message ?? "HSM: the token is not open";
    throw new ConnectorError("hsm-unavailable", reason, {
      isRetryable: true,
      cause: this.#fault,
    });
  }

  async #enter(): Promise<void> {
    if (this.#underWay < this.#parts.place.sessions) {
      this.#underWay += 1;
      return;
    }
    if (this.#queue.length >= MAX_WAITING) {
      throw new ConnectorError("hsm-busy", `HSM: ${MAX_WAITING} acts wait already`, {
        isRetryable: true,
      });
    }
    const turn = Promise.withResolvers<void>();
    this.#queue.push(turn);
    await turn.promise;
  }

  /** The next in the queue takes the place of the one that goes. */
  #leave(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#underWay -= 1;
    else next.resolve();
  }

  /** Whoever needs the token meanwhile waits for this attempt, and its wait before. */
  #open(waitMs = 0): Promise<HsmClient> {
    const attempt = this.#wait(waitMs)
      .then(() => this.#openOnce())
      .finally(() => {
        if (this.#attempt === attempt) this.#attempt = undefined;
      });
    this.#attempt = attempt;
    return attempt;
  }

  async #openOnce(): Promise<HsmClient> {
    const { place, pins, onOpened } = this.#parts;
    try {
      if (this.#ended.signal.aborted) throw new SessionLostError("HSM: it was closed");
      pins?.check(place.pinFile);
      const client = new HsmClient(place, (error) => this.#lost(error));
      this.#opening = client;
      this.#token = await client.ask("open", { place }, OPEN_TIMEOUT_MS);
      this.#client = client;
      this.#openedAt = performance.now();
      this.#fault = undefined;
      onOpened?.(this.#token);
      return client;
    } catch (error) {
      this.#opening?.end();
      const fault = error as ConnectorError;
      this.#fault = fault;
      if (fault.code === "hsm-pin-refused") pins?.remember(place.pinFile);
      throw fault;
    } finally {
      this.#opening = undefined;
    }
  }

  #lost(error: SessionLostError): void {
    if (this.#client === undefined || this.#ended.signal.aborted) return;
    this.#client = undefined;
    this.#fault = error;
    this.#parts.onLost?.(error);
    void this.#reopen();
  }

  async #reopen(): Promise<void> {
    const { signal } = this.#ended;
    const lastedMs = performance.now() - this.#openedAt;
    let firstWaitMs = this.#backOff.next(lastedMs);
    if (lastedMs >= SHORT_SESSION_MS) firstWaitMs = 0;
    while (!signal.aborted) {
      try {
        await this.#open(firstWaitMs);
        return;
      } catch {
        firstWaitMs = 0;
        await this.#wait(this.#backOff.next(0));
      }
    }
  }

  async #wait(ms: number): Promise<void> {
    if (ms === 0) return;
    const { signal } = this.#ended;
    await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
