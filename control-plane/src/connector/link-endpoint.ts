import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "@isthmus/shared/clock";
import { codeOf } from "@isthmus/shared/errors";
import { LONG_POLL_PATH } from "@isthmus/shared/link/long-poll";
import {
  ENROLMENT_CA_PATH,
  ENROLMENT_PATH,
  LINK_PATH,
  MAX_TEXT_FRAME_BYTES,
} from "@isthmus/shared/link/messages";
import type { Random } from "@isthmus/shared/random";
import type { Logger } from "pino";
import { WebSocketServer } from "ws";
import type { ActionNews, CommandWakeUp, ReceiptSigner, UnsignedCommands } from "../core/ports.ts";
import { Connection } from "./connection.ts";
import type { ConnectorStore } from "./connector-store.ts";
import { answerEnrolment, problem } from "./enrolment.ts";
import { IngestGate } from "./ingest-gate.ts";
import type { LinkContext } from "./link-context.ts";
import { LongPollRoutes } from "./long-poll-routes.ts";
import { readBody } from "./request-body.ts";
import { SessionRegistry } from "./session-registry.ts";
import { WebSocketPeer } from "./web-socket-peer.ts";

/** Own limits. */
const DEFAULT_MAX_CONNECTIONS = 12_000;
/** Connections that have not said who they are. */
const MAX_GREETING = 500;
const MAX_WAITING_BATCH_BYTES = 64 * 1_048_576;
const MAX_ENROLMENTS = 32;
const MAX_ENROLMENT_BYTES = 16_384;
const TICK_MS = 1_000;
const SIGHTINGS_EVERY_TICKS = 60;
const MAIL_EVERY_TICKS = 10;
const MAX_MAIL = 1_000;
const CLOSE_TIMEOUT_MS = 2_000;

export interface LinkEndpointOptions {
  readonly store: ConnectorStore;
  readonly signer: ReceiptSigner;
  /** Nudged when commands were queued here, and when a new or restored connector has come. */
  readonly unsignedCommands: UnsignedCommands;
  /** Told of actions at sites that bridges tell of. */
  readonly actionNews?: ActionNews;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Host names and addresses by which connectors may reach this control plane; empty: any. */
  readonly names: readonly string[];
  /** Given to connectors when they enrol: `wss://host:port/link`. */
  readonly linkUrl: string;
  /** The CA of the TLS certificate, where it is not a public one. */
  readonly caPem?: string | undefined;
  readonly maxConnections?: number;
}

/**
 * The control plane's end of the link: `attach` takes the upgrades of an HTTP server, `handle` the requests of long-poll and
 * enrolment. Disposing of it ends every connection.
 */
export class LinkEndpoint implements CommandWakeUp, AsyncDisposable {
  readonly #context: LinkContext;
  readonly #options: LinkEndpointOptions;
  readonly #webSockets: WebSocketServer;
  readonly #longPoll: LongPollRoutes;
  readonly #ticking: NodeJS.Timeout;
  #ticks = 0;
  #enrolments = 0;
  #isClosed = false;

  constructor(options: LinkEndpointOptions) {
    const { store, signer, unsignedCommands, actionNews, clock, random, log, names } = options;
    this.#options = options;
    this.#context = {
      store,
      signer,
      unsignedCommands,
      actionNews: actionNews ?? { tell() {} },
      clock,
      random,
      log,
      names: new Set(names),
      sessions: new SessionRegistry(),
      gate: new IngestGate(MAX_WAITING_BATCH_BYTES),
    };
    this.#longPoll = new LongPollRoutes(this.#context, () => this.#mayGreet());
    const settings: ConstructorParameters<typeof WebSocketServer>[0] & { closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_TEXT_FRAME_BYTES,
      closeTimeout: CLOSE_TIMEOUT_MS,
    };
    this.#webSockets = new WebSocketServer(settings);
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    this.#ticking.unref();
  }

  /** To be called before the first connection: nobody is connected after a start. */
  async start(): Promise<void> {
    await this.#context.store.run("endAllSessions", undefined);
  }

  /** Takes WebSockets from `server`; an upgrade for any other path is refused. */
  attach(server: Server): void {
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head);
    });
  }

  /** Takes a request for long-poll or enrolment; false for any other path. Bodies must not have been read. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const route = this.#routeOf(request);
    if (route === undefined) return false;
    route(request, response).catch((error: unknown) => {
      this.#context.log.info({ code: codeOf(error), err: error }, "link.request-failed");
      response.destroy();
    });
    return true;
  }

  /** Looks for commands and configurations of a connector, if it is here. */
  wake(connectorId: string): void {
    this.#context.sessions.sessionOf(connectorId)?.wake();
  }

  /** Looks for what there is for every connector that is here. */
  wakeAll(): void {
    for (const { connectorId } of this.#context.sessions.sightings()) this.wake(connectorId);
  }

  /** Ends a connector's session, e.g. because it was disabled; it is judged anew when it comes back. */
  disconnect(connectorId: string): void {
    this.#context.sessions.sessionOf(connectorId)?.close();
  }

  /** Numbers for metrics and health. */
  figures() {
    const { sessions, gate } = this.#context;
    return {
      connections: sessions.connectionCount,
      sessions: sessions.sessionCount,
      waitingBatchBytes: gate.bytes,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#ticking);
    const ends = this.#context.sessions.sightings();
    this.#context.sessions.closeAll();
    this.#webSockets.close();
    // Ends are stored by each connection as well; this one is waited for.
    for (const end of ends) await this.#context.store.run("endSession", end).catch(() => {});
  }

  #routeOf(request: IncomingMessage) {
    const [path] = (request.url ?? "").split("?", 1);
    if (request.method === "POST" && path === LONG_POLL_PATH) {
      return (from: IncomingMessage, to: ServerResponse) => this.#longPoll.handle(from, to);
    }
    if (request.method === "POST" && path === ENROLMENT_PATH) {
      return (from: IncomingMessage, to: ServerResponse) => this.#enrol(from, to);
    }
    if (request.method === "GET" && path === ENROLMENT_CA_PATH) {
      return async (_from: IncomingMessage, to: ServerResponse) => this.#giveCa(to);
    }
    return undefined;
  }

  #mayGreet(): boolean {
    const { sessions } = this.#context;
    const max = this.#options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    return (
      !this.#isClosed && sessions.greetingCount < MAX_GREETING && sessions.connectionCount < max
    );
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => {});
    if ((request.url ?? "").split("?", 1)[0] !== LINK_PATH) {
      refuseUpgrade(socket, "404 Not Found");
    } else if (this.#mayGreet()) {
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        const peer = new WebSocketPeer(webSocket);
        const connection = new Connection(this.#context, peer);
        peer.listen(connection);
        connection.begin();
      });
    } else {
      refuseUpgrade(socket, "503 Service Unavailable", "retry-after: 5\r\n");
    }
  }

  async #enrol(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Before a place is taken: a stranger who never ends a body would keep everybody out.
    const body = await readBody(request, MAX_ENROLMENT_BYTES);
    if (this.#enrolments >= MAX_ENROLMENTS) {
      sendJson(response, problem(503, "enrolment-busy", "too many enrolments at once: try again"));
      return;
    }
    this.#enrolments += 1;
    try {
      const { linkUrl, caPem } = this.#options;
      const options = { context: this.#context, linkUrl, caPem };
      sendJson(response, await answerEnrolment(options, parseJson(body)));
    } finally {
      this.#enrolments -= 1;
    }
  }

  #giveCa(response: ServerResponse): void {
    const { caPem } = this.#options;
    response.writeHead(caPem === undefined ? 404 : 200, {
      "content-type": "application/x-pem-file",
    });
    response.end(caPem);
  }

  #tick(): void {
    this.#ticks += 1;
    this.#context.sessions.tick(performance.now());
    this.#longPoll.tick();
    if (this.#ticks % SIGHTINGS_EVERY_TICKS === 0) this.#meanwhile(this.#noteSightings());
    if (this.#ticks % MAIL_EVERY_TICKS === 0) this.#meanwhile(this.#deliverMail());
  }

  async #noteSightings(): Promise<void> {
    const sightings = this.#context.sessions.sightings();
    if (sightings.length > 0) await this.#context.store.run("noteSightings", { sightings });
  }

  /** Wake-ups are hints: what they missed is found here. */
  async #deliverMail(): Promise<void> {
    if (this.#context.sessions.sessionCount === 0) return;
    const ids = await this.#context.store.run("connectorsWithMail", { limit: MAX_MAIL });
    for (const id of ids) this.wake(id);
  }

  #meanwhile(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#context.log.warn({ code: codeOf(error), err: error }, "link.upkeep-failed");
    });
  }
}

function refuseUpgrade(socket: Duplex, status: string, headers = ""): void {
  socket.end(`HTTP/1.1 ${status}\r\n${headers}connection: close\r\ncontent-length: 0\r\n\r\n`);
}

function sendJson(response: ServerResponse, answer: { status: number; body: unknown }): void {
  response.writeHead(answer.status, { "content-type": "application/json" });
  response.end(JSON.stringify(answer.body));
}

function parseJson(body: Buffer | undefined): unknown {
  try {
    return JSON.parse(body?.toString("utf8") ?? "");
  } catch {
    return undefined;
  }
}
