import { setTimeout as pauseFor } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { BackOff } from "@isthmus/shared/link/back-off";
import type { Random } from "@isthmus/shared/random";
import {
  type BreakerEvent,
  type BreakerState,
  breakerStep,
  CLOSED,
} from "../core/circuit-breaker.ts";
import {
  type Row,
  type RowsAnswer,
  readOneRow,
  readRows,
} from "../protocol/admin-service/answer.ts";
import { type Asked, errorOfAnswer } from "../protocol/admin-service/answer-error.ts";
import { type ClassName, classPath, type Key, objectPath } from "../protocol/admin-service/path.ts";
import { type Query, queryText } from "../protocol/admin-service/query.ts";
import type { AnswerBody } from "./answer-body.ts";
import { exchange, outcomeUnknown } from "./exchange.ts";
import { givenUpWith } from "./given-up-with.ts";
import { type Lane, type Pause, RequestLanes } from "./request-lanes.ts";
import { type RawAnswer, SiteConnections } from "./site-connection.ts";
import type { PresentedCredential } from "./site-credential.ts";
import type { SiteSettings } from "./site-settings.ts";

/** Own limit: the longest that a site which keeps failing is left alone at a time. */
const MAX_OPEN_MS = 300_000;
/** Own limit on what a `Retry-After` may ask for. */
const MAX_RETRY_AFTER_MS = 300_000;
/** What says that the provider is gone, as against an answer that we do not like. */
const GONE = new Set(["site-timeout", "site-unreachable", "site-interrupted", "site-unavailable"]);
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
  #breaker: BreakerState = CLOSED;
  /** What opened the breaker, in words. */
  #lastFailure = "";
  /** The provider asked to be left alone until then; commands are sent all the same. */
  #notBefore = 0;

  constructor(settings: SiteSettings, parts: AdminServiceClientParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#pause = parts.pause ?? ((ms, signal) => pauseFor(ms, undefined, { signal }));
    this.#lanes = new RequestLanes(settings.limits, { clock: parts.clock, pause: this.#pause });
    this.#connections = new SiteConnections(settings, parts.clock, this.#stop.signal);
  }

  get breaker(): BreakerState {
    return this.#breaker;
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

  async #once(request: Request): Promise<RawAnswer> {
    const signal = AbortSignal.any([request.signal, this.#stop.signal]);
    await this.#waitAsAsked(request.lane, signal);
    using _place = await this.#lanes.enter(request.lane, signal);
    // Made before the breaker is asked: a token that cannot be read says nothing about the site.
    const presented = await givenUpWith(signal, this.#present());
    this.#askBreaker();
    try {
      const raw = await this.#exchange(request, presented, signal);
      judge(presented, request, raw, this.#settings.url);
      if (raw.status < 200 || raw.status > 299) {
        const { path, asked } = request;
        this.#heed(raw);
        throw errorOfAnswer({
          ...raw,
          body: raw.body.whole,
          path: path.split("?", 1)[0] ?? path,
          asked,
        });
      }
      this.#tell({ kind: "succeeded" });
      return raw;
    } catch (error) {
      this.#tell(this.#eventOf(error));
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

  /** RFC 9110 section 10.2.3, with 429 and 503. */
  #heed({ status, headers }: RawAnswer): void {
    if (status !== 429 && status !== 503) return;
    const text = headers["retry-after"] ?? "";
    const now = this.#parts.clock.now();
    const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
    if (!(ms > 0)) return;
    this.#notBefore = Math.max(this.#notBefore, now + Math.min(ms, MAX_RETRY_AFTER_MS));
  }

  async #waitAsAsked(lane: Lane, signal: AbortSignal): Promise<void> {
    if (lane === "command") return;
    const left = this.#notBefore - this.#parts.clock.now();
    if (left > 0 && left <= MAX_RETRY_AFTER_MS) await this.#pause(left, signal);
  }

  #askBreaker(): void {
    const before = this.#breaker;
    if (this.#tell({ kind: "asked" })) return;
    const left = before.kind === "open" ? before.until - this.#parts.clock.now() : 0;
    const when =
      left > 0 ? `again in ${Math.ceil(left / 1_000)} s` : "one request is finding out about it";
    throw new ConnectorError(
      "site-circuit-open",
      `the site has not answered for a while and is left alone; ${when}. The last attempt: ${this.#lastFailure}`,
      { isRetryable: true },
    );
  }

  #eventOf(error: unknown): BreakerEvent {
    if (!(error instanceof ConnectorError)) return { kind: "given-up" };
    const cause = error.code === "site-outcome-unknown" ? error.cause : error;
    if (!(cause instanceof ConnectorError) || cause.code === "site-closed") {
      return { kind: "given-up" };
    }
    if (!GONE.has(cause.code)) return { kind: "succeeded" };
    this.#lastFailure = cause.message;
    return { kind: "failed", share: this.#parts.random.bytes(4).readUInt32BE() / 2 ** 32 };
  }

  #tell(event: BreakerEvent): boolean {
    const { breakerFailures, breakerOpenMs } = this.#settings.limits;
    const limits = { failures: breakerFailures, openMs: breakerOpenMs, maxOpenMs: MAX_OPEN_MS };
    const step = breakerStep(this.#breaker, event, this.#parts.clock.now(), limits);
    this.#breaker = step.state;
    return step.isAllowed;
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
