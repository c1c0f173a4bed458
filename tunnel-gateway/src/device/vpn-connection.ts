import { ProtocolError } from "@isthmus/shared/errors";
import type { EngineConnection } from "../core/vpn-engine.ts";
import { type HttpRequest, HttpRequests } from "../protocol/http-requests.ts";
import { encodeHttpResponse, type HttpResponse } from "../protocol/http-response.ts";
import type { EngineStream } from "./engine-stream.ts";

/** Own limit: AnyConnect needs a dozen for a login with its profile. */
export const MAX_REQUESTS = 64;

/** What serves a request: answered here, or the connection has become something else. */
export type Served = HttpResponse | "taken";

export interface VpnConnectionOptions {
  readonly connection: EngineConnection;
  readonly serve: (request: HttpRequest, connection: VpnConnection) => Promise<Served>;
  readonly write: (bytes: Uint8Array) => void;
  readonly end: (how: "clean" | "reset") => void;
  /** A request refused for its form, or a fault of ours. */
  readonly onMalformed: (code: string) => void;
  readonly onFault: (error: unknown) => void;
}

/**
 * One connection before it is a tunnel: requests, each answered before the next is looked at.
 *
 *     idle --bytes--> reading --complete--> serving --answered--> idle ...
 *                        \--too slow---> 408     \--CONNECT--> tunnel (the engine's) or stream (the relay's)
 *
 * After the last answer, and after every refusal, the connection ends.
 */
export class VpnConnection {
  readonly facts: EngineConnection;
  readonly signal: AbortSignal;
  readonly #options: VpnConnectionOptions;
  readonly #requests = new HttpRequests();
  readonly #gone = new AbortController();
  #stream: EngineStream | undefined;
  #isServing = false;
  #isOver = false;
  #served = 0;
  /** When what is being read began to come, or the connection to be there; on the clock of `sweep`. */
  #readingSince: number | undefined;

  constructor(options: VpnConnectionOptions, now: number) {
    this.#options = options;
    this.facts = options.connection;
    this.signal = this.#gone.signal;
    this.#readingSince = now;
  }

  receive(bytes: Buffer, now: number): void {
    this.#stream?.receive(bytes);
    if (this.#stream || this.#isOver) return;
    try {
      this.#requests.push(bytes);
      if (!this.#isServing) this.#serveNext(now);
    } catch (error) {
      this.#refuse(error);
    }
  }

  drained(sentBytes: number): void {
    this.#stream?.drained(sentBytes);
  }

  /** The engine has lost it. */
  closed(isClean: boolean): void {
    this.#isOver = true;
    this.#gone.abort(GONE);
    this.#stream?.gone(isClean);
  }

  /** Ends it if a request takes longer than `requestMs` to come. */
  sweep(now: number, requestMs: number): void {
    if (this.#isOver || this.#isServing || this.#readingSince === undefined) return;
    if (now - this.#readingSince > requestMs) this.#refuse(SLOW);
  }

  /** What the client sent behind the request that is being served. */
  takeRest(): Buffer {
    return this.#requests.takeRest();
  }

  /** From now on its bytes are those of a stream. */
  become(stream: EngineStream): void {
    this.#stream = stream;
  }

  /** It is the engine's from now on, or at an end. */
  leave(): void {
    this.#isOver = true;
  }

  #serveNext(now: number): void {
    const request = this.#requests.next();
    if (request) {
      this.#readingSince = undefined;
      this.#isServing = true;
      void this.#serve(request);
    } else if (this.#requests.isMidway) {
      this.#readingSince ??= now;
    }
  }

  async #serve(request: HttpRequest): Promise<void> {
    try {
      const served = await this.#options.serve(request, this);
      if (served === "taken" || this.#isOver) return;
      this.#served += 1;
      this.#answer(served, isLast(request) || this.#served >= MAX_REQUESTS);
      this.#isServing = false;
      // Bytes that came meanwhile have no time of their own; their request gets all of it from now on.
      if (!this.#isOver) this.#serveNext(performance.now());
    } catch (error) {
      this.#refuse(error);
    }
  }

  #answer(response: HttpResponse, isEnd: boolean): void {
    this.#options.write(encodeHttpResponse(response, isEnd));
    if (isEnd) this.#end();
  }

  #refuse(error: unknown): void {
    if (this.#isOver) return;
    const isTheirs = error instanceof ProtocolError;
    if (isTheirs) this.#options.onMalformed(error.code);
    else this.#options.onFault(error);
    const status = isTheirs ? (STATUSES[error.code] ?? 400) : 500;
    const body = isTheirs ? `${error.message}\n` : "internal error\n";
    const fields = [["Content-Type", "text/plain; charset=utf-8"]] as const;
    this.#answer({ status, fields, cookies: [], body }, true);
  }

  #end(): void {
    this.#isOver = true;
    this.#gone.abort(GONE);
    this.#options.end("clean");
  }
}

/** One for all: `abort` would make a DOMException with its stack for each connection. */
const GONE = new ProtocolError("connection-gone", "the connection has gone");
const SLOW = new ProtocolError("http-timeout", "the request did not come in time");

const STATUSES: Readonly<Record<string, number>> = {
  "http-timeout": 408,
  "http-body-size": 413,
  "http-head-size": 431,
  "http-fields": 431,
};

function isLast(request: HttpRequest): boolean {
  const field = request.fields.get("Connection") ?? "";
  // Cut first: a regular expression that takes the spaces along takes the square of a long row of them.
  const options = field.split(",").map((option) => option.trim().toLowerCase());
  return request.version === "1.0" ? !options.includes("keep-alive") : options.includes("close");
}
