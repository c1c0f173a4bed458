import { setTimeout as pauseFor } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { BackOff } from "@isthmus/shared/link/back-off";
import type { Random } from "@isthmus/shared/random";
import type { BreakerState } from "../core/circuit-breaker.ts";
import {
  type Row,
  type RowsAnswer,
  readOneRow,
  readRows,
} from "../protocol/admin-service/answer.ts";
import { type Asked, errorOfAnswer } from "../protocol/admin-service/answer-error.ts";
import {
  type ClassName,
  classPath,
  type Key,
  objectPath,
  pathWithoutKeys,
} from "../protocol/admin-service/path.ts";
import { type Query, queryText } from "../protocol/admin-service/query.ts";
import { DEVICE, SYSTEM } from "../protocol/admin-service/rows.ts";
import type { AnswerBody } from "./answer-body.ts";
import { exchange, outcomeUnknown } from "./exchange.ts";
import { givenUpWith } from "./given-up-with.ts";
import { type Lane, type Pause, RequestLanes } from "./request-lanes.ts";
import { SiteBreaker } from "./site-breaker.ts";
import { type RawAnswer, SiteConnections } from "./site-connection.ts";
import { isTokenRenewed, type PresentedCredential } from "./site-credential.ts";
import type { SiteSettings } from "./site-settings.ts";

/** Own limit on what a `Retry-After` may ask for. */
const MAX_RETRY_AFTER_MS = 300_000;
/** What a wait is noted under that is for all that is asked. */
const EVERYTHING = "";
/** Retryable for whoever asked, but of no use at once. */
const NOT_AT_ONCE = new Set(["site-busy", "site-circuit-open", "cmpivot-not-ready"]);

export interface AdminServiceClientParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Waits between attempts and for the rate; a timer unless given. */
  readonly pause?: Pause;
}

export interface Asking {
  readonly lane: Lane;
  readonly signal: AbortSignal;
  /** Whether a request that failed so is worth repeating at once, of those that can be; each is unless given. */
  readonly mayRepeat?: (fault: ConnectorError) => boolean;
}

/** A page as it came, for those who compare pages before they read them. */
export interface RawPage {
  readonly body: AnswerBody;
  /** The provider's clock, from `Date`. */
  readonly servedAt: number | undefined;
}

/** Rows with the bytes they came in. */
export interface Page extends RowsAnswer, RawPage {}

interface Request extends Asking {
  readonly method: "GET" | "POST";
  /** Below the base path of the credential. */
  readonly path: string;
  readonly asked: Asked;
  readonly body?: Buffer;
  /** Whether it finds out for the breaker. */
  readonly isWitness?: boolean;
}

/**
 * The AdminService of one SMS provider. Every method throws ConnectorError: those of `exchange` and `errorOfAnswer`, `site-busy`,
 * `site-circuit-open`, and those of the credential; ProtocolError where an answer or a question is malformed.
 */
export class AdminServiceClient implements Disposable {
  readonly #settings: SiteSettings;
  readonly #parts: AdminServiceClientParts;
  readonly #pause: Pause;
  readonly #lanes: RequestLanes;
  readonly #stop = new AbortController();
  readonly #connections: SiteConnections;
  readonly #breaker: SiteBreaker;
  /** Classes of which rows came, by path: the last one last. As many as the catalogue has. */
  readonly #answering = new Map<string, ClassName>();
  /** Witnesses that were not answered: after one that hangs itself another class is asked. */
  #inVain = 0;
  /** Until when the provider asked to be left alone, by path or for everything; commands are sent all the same. */
  readonly #notBefore = new Map<string, number>();

  constructor(settings: SiteSettings, parts: AdminServiceClientParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#pause = parts.pause ?? ((ms, signal) => pauseFor(ms, undefined, { signal }));
    this.#lanes = new RequestLanes(settings.limits, { clock: parts.clock, pause: this.#pause });
    this.#connections = new SiteConnections(settings, parts.clock, this.#stop.signal);
    const callWitness = (path: string) => this.#callWitness(path);
    this.#breaker = new SiteBreaker({ limits: settings.limits, ...parts, callWitness });
  }

  get breaker(): BreakerState {
    return this.#breaker.state;
  }

  get inFlight(): number {
    return this.#lanes.inFlight;
  }

  get waiting(): number {
    return this.#lanes.waiting;
  }

  async rows(of: ClassName, query: Query, asking: Asking): Promise<Page> {
    const page = await this.page(of, query, asking);
    return { ...readRows(page.body.whole), ...page };
  }

  /** As `rows`, but nothing is parsed. */
  async page(of: ClassName, query: Query, asking: Asking): Promise<RawPage> {
    const path = `${classPath(of)}${queryText(query)}`;
    const { body, headers } = await this.#get({ ...asking, method: "GET", path, asked: "rows" });
    this.#answering.delete(classPath(of));
    this.#answering.set(classPath(of), of);
    const servedAt = Date.parse(headers["date"] ?? "");
    return { body, servedAt: Number.isFinite(servedAt) ? servedAt : undefined };
  }

  /** The object of a key, with its lazy properties. */
  async one(of: ClassName, key: Key, asking: Asking): Promise<Row> {
    const path = objectPath(of, key);
    const { body } = await this.#get({ ...asking, method: "GET", path, asked: "rows" });
    return readOneRow(body.whole);
  }

  /** Asks what has a path of its own: a function, or a list that hangs on an object. */
  async ask(
    path: string,
    { asked, ...asking }: Asking & { readonly asked: "rows" | "cmpivot-result" },
  ): Promise<Buffer> {
    return (await this.#get({ ...asking, method: "GET", path, asked })).body.whole;
  }

  /**
   * Calls a method, once: `path` is of `objectPath` or `classPath` with the method behind it. Throws `site-outcome-unknown` where
   * nobody knows what became of it.
   */
  async call(
    path: string,
    argument: Readonly<Record<string, unknown>>,
    { asked, ...asking }: Asking & { readonly asked: "script" | "action" },
  ): Promise<Buffer> {
    const body = Buffer.from(JSON.stringify(argument), "utf8");
    return (await this.#once({ ...asking, method: "POST", path, asked, body })).body.whole;
  }

  /** Requests under way and waiting fail. */
  [Symbol.dispose](): void {
    this.#stop.abort(new ConnectorError("site-closed", "the connection to the site was closed"));
    this.#lanes[Symbol.dispose]();
    this.#connections[Symbol.dispose]();
  }

  async #get(request: Request): Promise<RawAnswer> {
    const backOff = new BackOff(this.#parts.random);
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#once(request);
      } catch (error) {
        const isLast = attempt >= this.#settings.limits.retries;
        if (isLast || request.signal.aborted || !mayRepeat(error, request)) throw error;
        const signal = AbortSignal.any([request.signal, this.#stop.signal]);
        await this.#pause(backOff.next(0), signal);
      }
    }
  }

  /** What was refused was not begun, so even an action goes again. */
  async #once(request: Request): Promise<RawAnswer> {
    try {
      return await this.#sent(request);
    } catch (error) {
      if (isTokenRenewed(error)) return await this.#sent(request);
      throw error;
    }
  }

  async #sent(request: Request): Promise<RawAnswer> {
    const signal = AbortSignal.any([request.signal, this.#stop.signal]);
    await this.#waitAsAsked(request, signal);
    using _place = await this.#lanes.enter(request.lane, signal);
    // Made before the breaker is asked: a token that cannot be read says nothing about the site.
    const presented = await givenUpWith(signal, this.#present());
    this.#breaker.ask();
    try {
      const raw = await this.#exchange(request, presented, signal);
      judge(presented, request, raw, this.#settings.url);
      if (raw.status < 200 || raw.status > 299) {
        const { path, asked } = request;
        this.#heed(path, raw);
        throw errorOfAnswer({
          ...raw,
          body: raw.body.whole,
          path: path.split("?", 1)[0] ?? path,
          asked,
        });
      }
      this.#breaker.succeeded();
      return raw;
    } catch (error) {
      this.#breaker.failed(error, request.path, request.isWitness ?? false);
      throw error;
    }
  }

  /** What an action is sent on is its own: on a kept connection it might meet the end of it, and its outcome be unknown. */
  async #exchange(request: Request, presented: PresentedCredential, signal: AbortSignal) {
    const { url, credential, limits } = this.#settings;
    const { method, body } = request;
    const { authorization } = presented;
    const isKept = method === "GET";
    const connections = isKept
      ? this.#connections
      : new SiteConnections(this.#settings, this.#parts.clock, this.#stop.signal);
    const path = `${credential.basePath}${request.path}`;
    const { host } = new URL(url);
    try {
      return await exchange({
        connections,
        host,
        method,
        path,
        authorization,
        body,
        limits,
        signal,
      });
    } finally {
      if (!isKept) connections[Symbol.dispose]();
    }
  }

  #present(): Promise<PresentedCredential> {
    return this.#settings.credential.present(new URL(this.#settings.url).hostname);
  }

  /** RFC 9110 section 10.2.3, with 429 for everything, and with 503 for the class that was asked for. */
  #heed(path: string, { status, headers }: RawAnswer): void {
    if (status !== 429 && status !== 503) return;
    const text = headers["retry-after"] ?? "";
    const now = this.#parts.clock.now();
    const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
    if (!(ms > 0)) return;
    const of = status === 429 ? EVERYTHING : pathWithoutKeys(path);
    const until = now + Math.min(ms, MAX_RETRY_AFTER_MS);
    this.#notBefore.set(of, Math.max(this.#notBefore.get(of) ?? 0, until));
  }

  async #waitAsAsked({ lane, path, isWitness }: Request, signal: AbortSignal): Promise<void> {
    if (lane === "command" || isWitness) return;
    const [all = 0, own = 0] = [EVERYTHING, pathWithoutKeys(path)].map((of) =>
      this.#notBefore.get(of),
    );
    const left = Math.max(all, own) - this.#parts.clock.now();
    if (left > 0 && left <= MAX_RETRY_AFTER_MS) await this.#pause(left, signal);
  }

  /** One row of a class that was answered before, or of one that every site has. */
  async #callWitness(failedPath: string): Promise<void> {
    const failed = pathWithoutKeys(failedPath);
    const candidates = [...[...this.#answering.values()].reverse(), SYSTEM, DEVICE].filter(
      (each) => classPath(each) !== failed,
    );
    const of = candidates[this.#inVain % candidates.length] ?? SYSTEM;
    const path = `${classPath(of)}${queryText({ top: 1 })}`;
    const { signal } = this.#stop;
    const request = { method: "GET", path, asked: "rows", lane: "hint", signal } as const;
    try {
      await this.#once({ ...request, isWitness: true });
    } catch {
      // The breaker hears of it, and nobody else asked.
      this.#inVain += 1;
    }
  }
}

/** What a server that proves nothing says of an action is no answer. */
function judge(
  { judge: look }: PresentedCredential,
  { method }: Request,
  raw: RawAnswer,
  url: string,
): void {
  try {
    look?.(raw);
  } catch (error) {
    const isTaken = method === "POST" && raw.status >= 200 && raw.status <= 299;
    throw isTaken ? outcomeUnknown(new URL(url).host, error) : error;
  }
}

function mayRepeat(error: unknown, { mayRepeat: isWorthIt }: Asking): boolean {
  const isRepeatable =
    error instanceof ConnectorError && error.isRetryable && !NOT_AT_ONCE.has(error.code);
  return isRepeatable && (isWorthIt?.(error) ?? true);
}
