import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { wholeBody } from "@isthmus/shared/link/message-body";
import type { Answer } from "./answer.ts";
import type { Fault, Faults } from "./faults.ts";
import { errorBody, Refusal } from "./odata-refusal.ts";
import type { Pace } from "./pace.ts";
import { writePage } from "./page-writer.ts";
import { route } from "./routes.ts";
import type { Principal } from "./site-options.ts";
import type { SiteState } from "./site-state.ts";

/** A request as the provider saw it. */
export interface SeenRequest {
  readonly at: number;
  readonly method: string;
  /** With its query, decoded. */
  readonly path: string;
  readonly principal: string;
  status: number;
  rows: number;
  /** Undefined where none struck. */
  readonly fault: Fault["kind"] | undefined;
}

/** A request that was read, and what goes wrong with it. */
interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly body: Buffer;
  readonly principal: Principal | undefined;
  readonly fault: Fault | undefined;
  readonly seen: SeenRequest;
}

const KEPT_REQUESTS = 10_000;
const BODY_LIMIT = { maxBytes: 4_194_304, code: "body-too-large" };
const PREFIX = /^\/AdminService(_TokenAuth)?\/(v1\.0|wmi)(?:\/(.*?))?\/?$/;

/** The SMS Provider's web service: who is there, what is wrong today, and the answer. */
export class Provider {
  readonly requests: SeenRequest[] = [];
  /** All there was since the start. */
  readonly load = { requests: 0, rows: 0 };
  readonly #state: SiteState;
  readonly #faults: Faults;
  readonly #pace: Pace;
  /** The application data of TLS channel bindings, RFC 5929. */
  readonly #channel: Buffer;
  /** What was last asked at a path, for a page that comes again. */
  readonly #lastQueries = new Map<string, URLSearchParams>();

  constructor(state: SiteState, faults: Faults, pace: Pace, certificate: Uint8Array) {
    this.#state = state;
    this.#faults = faults;
    this.#pace = pace;
    const digest = createHash("sha256").update(certificate).digest();
    this.#channel = Buffer.concat([Buffer.from("tls-server-end-point:"), digest]);
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader("server", "Microsoft-HTTPAPI/2.0");
    response.setHeader("date", new Date(this.#state.now()).toUTCString());
    if (!this.#pace.admits(request.socket.remoteAddress ?? "")) {
      response.writeHead(429, { "retry-after": "1" }).end();
      return;
    }
    const leave = await this.#pace.enter();
    // Who gave up while waiting closes nothing any more.
    if (request.socket.destroyed) return leave();
    response.once("close", leave);
    const body = await wholeBody(request, BODY_LIMIT);
    const url = urlOf(request);
    if (url === undefined) {
      send(response, { kind: "json", status: 400, body: errorBody("Invalid URI.") });
      return;
    }
    await this.#serve(request, response, url, body);
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    body: Buffer,
  ): Promise<void> {
    this.#state.catchUp();
    const method = request.method ?? "GET";
    const path = decoded(url.pathname) + decoded(url.search.replaceAll("+", " "));
    const rule = this.#faults.for(method, path, this.#state.now());
    const fault = rule?.fault;
    const principal = await this.#principal(request, response, url);
    const seen: SeenRequest = {
      ...{ at: this.#state.now(), method, path, principal: principal?.name ?? "" },
      ...{ status: 0, rows: 0, fault: fault?.kind },
    };
    this.requests.push(seen);
    this.load.requests += 1;
    if (this.requests.length > KEPT_REQUESTS) this.requests.shift();
    const asked: Asked = { method, url, body, principal, fault, seen };
    const isTouched = await this.#respond(response, asked);
    if (rule === undefined) return;
    if (isTouched) this.#faults.struck(rule);
    else this.#faults.missed(rule);
  }

  /** Resolves to whether the answer was another one because of the fault. */
  async #respond(response: ServerResponse, asked: Asked): Promise<boolean> {
    const { url, principal, fault, seen } = asked;
    if (await this.#struck(fault, response)) return true;
    const last = this.#lastQueries.get(url.pathname);
    const answer = this.#answerOf(response, asked);
    if (fault?.kind === "cut" && fault.when === "after") {
      response.destroy();
      return true;
    }
    const isCut = fault?.kind === "cut" && fault.when === "mid-body";
    seen.status = answer.kind === "rows" ? 200 : answer.status;
    if (answer.kind !== "rows") {
      send(response, answer, isCut);
      return fault?.kind !== "short-page" && fault?.kind !== "repeated-page";
    }
    if (principal === undefined) throw new Error("rows for nobody");
    const { rows, isShort, isNarrowed } = await writePage(response, answer, {
      ...{ state: this.#state, principal, pace: this.#pace, base: baseOf(url), url, isCut },
      ...(fault?.kind === "short-page" && { mostRows: fault.rows }),
    });
    seen.rows = rows;
    this.load.rows += rows;
    if (isNarrowed) this.#faults.narrowed += 1;
    if (fault?.kind === "repeated-page") return !isSame(last, url.searchParams);
    return fault?.kind !== "short-page" || isShort;
  }

  #answerOf(response: ServerResponse, asked: Asked): Answer {
    const { method, url, principal, body, fault } = asked;
    const isKnown = principal !== undefined && fault?.kind !== "unauthorized";
    if (!isKnown) return unauthorized(response, url);
    return denied(fault) ?? this.#answer(method, url, principal, body, fault);
  }

  /** True where the request ends here without an answer. */
  async #struck(fault: Fault | undefined, response: ServerResponse): Promise<boolean> {
    if (fault?.kind === "slow") await delay(fault.ms);
    if (fault?.kind === "cut" && fault.when === "before") response.destroy();
    return fault?.kind === "hang" || (fault?.kind === "cut" && fault.when === "before");
  }

  #answer(
    method: string,
    url: URL,
    principal: Principal,
    body: Buffer,
    fault: Fault | undefined,
  ): Answer {
    const [, , name, rest = ""] = PREFIX.exec(decoded(url.pathname)) ?? [];
    if (name === undefined) return { kind: "json", status: 404 };
    const last = this.#lastQueries.get(url.pathname);
    if (method === "GET") this.#lastQueries.set(url.pathname, url.searchParams);
    try {
      return route(this.#state, {
        ...{ principal, method, route: name as "v1.0" | "wmi", path: rest, base: baseOf(url) },
        query: queryUnder(fault, url.searchParams, last),
        body: parsed(body),
      });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const isEmpty = error.body === null;
      return { kind: "json", status: error.status, ...(!isEmpty && { body: error.body }) };
    }
  }

  async #principal(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
  ): Promise<Principal | undefined> {
    const { tokens = {}, negotiate } = this.#state.options;
    const [scheme, value = ""] = (request.headers.authorization ?? "").split(" ");
    if (url.pathname.startsWith("/AdminService_TokenAuth/"))
      return scheme === "Bearer" && Object.hasOwn(tokens, value) ? tokens[value] : undefined;
    if (negotiate === undefined || !("accept" in negotiate)) return negotiate;
    // Since release 2509 NTLM is refused.
    if (scheme !== "Negotiate") return undefined;
    const accepted = await negotiate.accept(value, this.#channel);
    if (accepted.token !== undefined) {
      response.setHeader("www-authenticate", `Negotiate ${accepted.token}`);
    }
    return "user" in accepted ? this.#ofTicket(accepted.user) : undefined;
  }

  #ofTicket(user: string): Principal {
    return this.#state.options.principals?.[user] ?? { name: `CORP\\${user.split("@")[0]}` };
  }
}

/** What is answered in place of what is asked. */
function queryUnder(
  fault: Fault | undefined,
  asked: URLSearchParams,
  last: URLSearchParams | undefined,
): URLSearchParams {
  if (fault?.kind === "repeated-page") return last ?? asked;
  if (fault?.kind !== "parts-passed-over") return asked;
  const query = new URLSearchParams(asked);
  const parts = (asked.get("$filter") ?? "").split(" or ");
  const [first = "", ...others] = parts;
  const isLastAnswered = fault.answered === "first-and-last" && others.length > 0;
  if (first !== "") query.set("$filter", isLastAnswered ? `${first} or ${others.at(-1)}` : first);
  return query;
}

function isSame(last: URLSearchParams | undefined, asked: URLSearchParams): boolean {
  return last === undefined || last.toString() === asked.toString();
}

function denied(fault: Fault | undefined): Answer | undefined {
  switch (fault?.kind) {
    case "security-exception": {
      const inner = { message: "Access denied.", type: "System.Security.SecurityException" };
      const body = errorBody("An error has occurred.", inner);
      return { kind: "json", status: 500, body };
    }
    case "mfa":
      return { kind: "json", status: 403 };
    case "page": {
      const text = `<!DOCTYPE html><html><head><title>${fault.title}</title></head></html>`;
      return { kind: "text", status: fault.status, type: "text/html", text };
    }
    case "status":
      return {
        ...{ kind: "json", status: fault.status },
        ...(fault.body !== undefined && { body: fault.body }),
      };
    default:
      return undefined;
  }
}

function unauthorized(response: ServerResponse, url: URL): Answer {
  const isToken = url.pathname.startsWith("/AdminService_TokenAuth/");
  // The acceptor's own token says more.
  if (!response.hasHeader("www-authenticate")) {
    response.setHeader("www-authenticate", isToken ? "Bearer" : "Negotiate");
  }
  return { kind: "json", status: 401 };
}

function send(
  response: ServerResponse,
  answer: Exclude<Answer, { readonly kind: "rows" }>,
  isCut = false,
): void {
  if (answer.kind === "text") {
    response.writeHead(answer.status, { "content-type": answer.type, "odata-version": "4.0" });
    response.end(answer.text);
    return;
  }
  if (answer.body === undefined) {
    response.writeHead(answer.status, { "content-length": "0" }).end();
    return;
  }
  const type = "application/json; odata.metadata=minimal";
  response.writeHead(answer.status, { "content-type": type, "odata-version": "4.0" });
  const text = JSON.stringify(answer.body);
  if (isCut) response.write(text.slice(0, text.length / 2), () => response.destroy());
  else response.end(text);
}

function parsed(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new Refusal(400, "The request is invalid.");
  }
}

function urlOf(request: IncomingMessage): URL | undefined {
  const url = URL.parse(request.url ?? "", `https://${request.headers.host ?? "localhost"}`);
  if (url === null) return undefined;
  try {
    decodeURIComponent(url.pathname + url.search);
    return url;
  } catch {
    return undefined;
  }
}

function decoded(text: string): string {
  return decodeURIComponent(text);
}

function baseOf(url: URL): string {
  return `${url.origin}${/^\/[^/]+\/[^/]+/.exec(url.pathname)?.[0] ?? ""}`;
}
