import type { IncomingMessage, ServerResponse } from "node:http";
import { codeOf } from "@isthmus/shared/errors";
import type { Frame } from "@isthmus/shared/link/frame-list";
import { readFrameList } from "@isthmus/shared/link/frame-list";
import {
  DIRECTION_HEADER,
  MAX_POLL_BODY_BYTES,
  SESSION_HEADER,
} from "@isthmus/shared/link/long-poll";
import { Connection } from "./connection.ts";
import type { LinkContext } from "./link-context.ts";
import { LongPollPeer } from "./long-poll-peer.ts";
import { readBody } from "./request-body.ts";

/** Own limit on what a stranger may send: a hello is about 1 KiB. */
const MAX_HELLO_BODY_BYTES = 16_384;

/** The link over HTTPS requests: which request belongs to which connection, and what it wants. */
export class LongPollRoutes {
  readonly #context: LinkContext;
  readonly #mayGreet: () => boolean;
  readonly #peers = new Map<string, LongPollPeer>();

  constructor(context: LinkContext, mayGreet: () => boolean) {
    this.#context = context;
    this.#mayGreet = mayGreet;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = request.headers[SESSION_HEADER];
    if (session === undefined) {
      this.#begin(request, response);
      return;
    }
    const peer = this.#peers.get(String(session));
    if (peer === undefined) {
      end(response, 410);
      return;
    }
    switch (request.headers[DIRECTION_HEADER]) {
      case "down":
        request.resume();
        peer.hold(response);
        break;
      case "up":
        await this.#receive(peer, "up", request, response);
        break;
      case "close":
        await this.#receive(peer, "close", request, response);
        peer.drop();
        break;
      default:
        end(response, 400);
    }
  }

  tick(): void {
    for (const peer of this.#peers.values()) peer.tick();
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    if (!this.#mayGreet()) {
      end(response.setHeader("retry-after", "5"), 503);
      return;
    }
    const session = this.#context.random.bytes(24).toString("base64url");
    const peer = new LongPollPeer(() => this.#peers.delete(session));
    const connection = new Connection(this.#context, peer);
    peer.listen(connection);
    this.#peers.set(session, peer);
    connection.begin();
    const body = peer.take();
    response.writeHead(200, {
      [SESSION_HEADER]: session,
      "content-type": "application/octet-stream",
      "content-length": body.length,
    });
    response.end(body);
  }

  async #receive(
    peer: LongPollPeer,
    direction: "up" | "close",
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    // A connector has one of each on its way at a time; more would only hold their bodies in memory.
    if (peer.reading.has(direction)) {
      request.resume();
      end(response, 409);
      return;
    }
    peer.reading.add(direction);
    const maxBytes = peer.isWelcome ? MAX_POLL_BODY_BYTES : MAX_HELLO_BODY_BYTES;
    const frames = await this.#framesOf(request, maxBytes);
    peer.reading.delete(direction);
    if (frames === undefined) {
      end(response, 400);
      return;
    }
    await peer.receive(frames);
    end(response, 204);
  }

  async #framesOf(request: IncomingMessage, maxBytes: number): Promise<Frame[] | undefined> {
    try {
      const body = await readBody(request, maxBytes);
      return body && readFrameList(body);
    } catch (error) {
      this.#context.log.info({ code: codeOf(error) }, "link.request-refused");
      return undefined;
    }
  }
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}
