import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { Duplex } from "node:stream";
import { codeOf, ProtocolError } from "@isthmus/shared/errors";
import { parseConnectStream } from "../protocol/connect-request.ts";
import type { ConnectFrontOptions } from "./connect-front.ts";
import {
  encodeRefusalFields,
  type RefusalResponse,
  responseToFailure,
} from "./refusal-response.ts";
import type { AuthenticatedSocket } from "./tls-listener.ts";

/** Own limits on one connection; how many streams a device may have in all is the relay's to say. */
const MAX_STREAMS = 512;
const MAX_HEADER_LIST_BYTES = 8_192;
const MAX_HEADER_PAIRS = 64;
/** A stream's window holds what is on its way at 1 Gbit/s and 8 ms; the connection's that of several. */
const STREAM_WINDOW_BYTES = 1_048_576;
const CONNECTION_WINDOW_BYTES = 8 * 1_048_576;
/** A connection on which no stream is open for this long ends; clients open another when they need one. */
const IDLE_MS = 300_000;
/** How long a refused client may take to read its answer. */
const LINGER_MS = 2_000;
/** Streams that a client opens and resets at once cost us more than it (CVE-2023-44487): this many, then so many a second. */
const RESET_BURST = 200;
const RESETS_PER_SECOND = 20;

// The last two came with Node's answer to CVE-2023-44487; its types do not name them yet.
const OPTIONS: ServerOptions & {
  readonly streamResetBurst: number;
  readonly streamResetRate: number;
} = {
  maxHeaderListPairs: MAX_HEADER_PAIRS,
  maxSessionMemory: 64,
  streamResetBurst: RESET_BURST,
  streamResetRate: RESETS_PER_SECOND,
  settings: {
    enablePush: false,
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxConcurrentStreams: MAX_STREAMS,
    maxHeaderListSize: MAX_HEADER_LIST_BYTES,
  },
};

/** The HTTP/2 front: any number of CONNECT streams on a connection, each a relayed connection of its own (RFC 9113 section 8.5). */
export class Http2Front {
  readonly #options: ConnectFrontOptions;

  constructor(options: ConnectFrontOptions) {
    this.#options = options;
  }

  /** Takes over a connection on which nothing has been read. */
  serve(connection: AuthenticatedSocket): void {
    const { socket, certificate, place } = connection;
    const session = performServerHandshake(socket, OPTIONS);
    // An error of the session destroys it and its socket; nothing is left to do but not to end the process by it.
    session.on("error", () => {});
    session.once("connect", () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    // The listener keeps half-closed connections open, as HTTP/1.1 needs it; HTTP/2 has nothing more to say on them.
    socket.once("end", () => socket.destroy());
    let isAccepted = false;
    const accept = () => {
      isAccepted = true;
      place.release();
    };
    endWhenIdle(session, socket, () => (isAccepted ? IDLE_MS : this.#options.headTimeoutMs));
    session.on("stream", (stream, headers) => {
      const refuse = (refusal: RefusalResponse) => {
        refuseStream(stream, refusal);
        // A connection with no device behind it ends with its first refusal, as it does over HTTP/1.1.
        if (!isAccepted) session.close();
      };
      this.#onStream({ stream, headers, certificate, accept, refuse });
    });
  }

  #onStream(of: {
    readonly stream: ServerHttp2Stream;
    readonly headers: IncomingHttpHeaders;
    readonly certificate: Buffer | undefined;
    readonly accept: () => void;
    readonly refuse: (refusal: RefusalResponse) => void;
  }): void {
    const { stream, certificate, accept, refuse } = of;
    stream.on("error", () => {});
    try {
      this.#options.onConnect({
        authority: parseConnectStream(pseudoFields(of.headers)),
        socket: stream,
        certificate,
        head: Buffer.alloc(0),
        accept,
        reset: () => resetStream(stream),
        wasCut: () => stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR,
        establish: () => void (canRespond(stream) && stream.respond({ ":status": 200 })),
        refuse,
      });
    } catch (error) {
      const refusal = malformed(error);
      this.#options.onMalformed(refusal.code);
      refuse(refusal);
    }
  }
}

/** Ends a connection on which no stream is open for `idleMs()`, and one whose session has ended before long. */
function endWhenIdle(session: ServerHttp2Session, socket: Duplex, idleMs: () => number): void {
  let open = 0;
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    const isEnding = session.closed || session.destroyed;
    timer = setTimeout(isEnding ? cut : end, isEnding ? LINGER_MS : idleMs());
    timer.unref();
  };
  const end = () => {
    session.close();
    wait();
  };
  // An ended session waits until its last bytes have left, and a client that reads nothing keeps them.
  const cut = () => socket.destroy();
  wait();
  session.on("stream", (stream) => {
    open += 1;
    clearTimeout(timer);
    stream.once("close", () => {
      open -= 1;
      if (open === 0 && !socket.destroyed) wait();
    });
  });
  socket.once("close", () => clearTimeout(timer));
}

/** RFC 9113 section 8.5: how a proxy passes on that the TCP connection was reset. */
function resetStream(stream: ServerHttp2Stream): void {
  stream.close(constants.NGHTTP2_CONNECT_ERROR);
  // Does not wait for a client that reads nothing: what was still to be sent is dropped now.
  stream.destroy();
}

/** respond() throws on a stream that its client has reset meanwhile; its end is told by its close event. */
function canRespond(stream: ServerHttp2Stream): boolean {
  return !stream.destroyed && !stream.closed && !stream.headersSent;
}

function refuseStream(stream: ServerHttp2Stream, refusal: RefusalResponse): void {
  if (!canRespond(stream)) return;
  const { fields, body } = encodeRefusalFields(refusal);
  stream.respond({ ":status": refusal.status, ...fields });
  stream.end(body);
  stream.resume();
  // A client that goes on sending is told to stop (RFC 9113 section 8.1), but not before it had time to read the answer.
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), LINGER_MS);
  stream.once("close", () => clearTimeout(timer));
}

function pseudoFields(headers: IncomingHttpHeaders): Map<string, string> {
  const entries = Object.entries(headers).filter(([name]) => name.startsWith(":"));
  return new Map(entries.map(([name, value]) => [name, String(value)]));
}

function malformed(error: unknown): RefusalResponse {
  if (!(error instanceof ProtocolError)) return responseToFailure(codeOf(error), "");
  const status = error.code === "connect-method" ? 405 : 400;
  const code = codeOf(error);
  return { status, error: "http_request_error", code, message: error.message };
}
