import { ConnectorError } from "../errors.ts";
import type { CloudAddress } from "./cloud-address.ts";
import type { CloudAnswer } from "./cloud-http.ts";
import { CloudHttp } from "./cloud-http.ts";
import type { Frame } from "./frame-list.ts";
import { bytesInList, readFrameList, takeFrameList } from "./frame-list.ts";
import type { LinkTransport, TransportListener } from "./link-transport.ts";
import {
  DIRECTION_HEADER,
  LONG_POLL_PATH,
  MAX_POLL_BODY_BYTES,
  MAX_POLL_BYTES,
  POLL_HOLD_MS,
  SESSION_HEADER,
} from "./long-poll.ts";

const REQUEST_TIMEOUT_MS = 20_000;
const CLOSE_TIMEOUT_MS = 1_000;

/** Opens a link over HTTPS requests. Throws `long-poll-refused` (retryable) and what `connectToCloud` throws. */
export async function openLongPoll(
  address: CloudAddress,
  listener: TransportListener,
  signal: AbortSignal,
): Promise<LinkTransport> {
  const http = new CloudHttp(address);
  const onAbort = () => http[Symbol.dispose]();
  signal.addEventListener("abort", onAbort);
  try {
    const answer = await post(http, {}, undefined, REQUEST_TIMEOUT_MS);
    const session = answer.headers[SESSION_HEADER];
    if (typeof session !== "string") throw refused("no session in the answer");
    return new LongPollTransport(http, session, listener, readFrameList(answer.body));
  } catch (error) {
    http[Symbol.dispose]();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function post(
  http: CloudHttp,
  headers: Readonly<Record<string, string>>,
  body: Buffer | undefined,
  timeoutMs: number,
): Promise<CloudAnswer> {
  const answer = await http.send({
    method: "POST",
    path: LONG_POLL_PATH,
    headers: { "content-type": "application/octet-stream", ...headers },
    ...(body && { body }),
    maxAnswerBytes: MAX_POLL_BODY_BYTES,
    timeoutMs,
  });
  if (answer.status === 200 || answer.status === 204) return answer;
  throw refused(`HTTP ${answer.status}`);
}

function refused(why: string): ConnectorError {
  return new ConnectorError("long-poll-refused", `the link over HTTPS requests ended: ${why}`, {
    isRetryable: true,
  });
}

class LongPollTransport implements LinkTransport {
  readonly kind = "long-poll";
  readonly #http: CloudHttp;
  readonly #session: string;
  readonly #listener: TransportListener;
  #queue: Frame[] = [];
  #queuedBytes = 0;
  #isSending = false;
  #isClosed = false;

  constructor(
    http: CloudHttp,
    session: string,
    listener: TransportListener,
    first: readonly Frame[],
  ) {
    this.#http = http;
    this.#session = session;
    this.#listener = listener;
    // The owner gets its frames once it holds the transport.
    setImmediate(() => {
      this.#hear(first);
      void this.#receive();
    });
  }

  get bufferedBytes(): number {
    return this.#queuedBytes;
  }

  send(frame: Frame): void {
    if (this.#isClosed) return;
    this.#queue.push(frame);
    this.#queuedBytes += bytesInList(frame);
    if (!this.#isSending) void this.#sendQueue();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#end(undefined);
  }

  /** One request up at a time; what is sent meanwhile goes with the next. */
  async #sendQueue(): Promise<void> {
    this.#isSending = true;
    try {
      // A turn's worth of frames shares a request.
      await new Promise((resolve) => setImmediate(resolve));
      while (this.#queue.length > 0 && !this.#isClosed) {
        const body = takeFrameList(this.#queue, MAX_POLL_BYTES);
        await this.#post("up", body, REQUEST_TIMEOUT_MS);
        this.#queuedBytes -= body.length;
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isSending = false;
    }
  }

  async #receive(): Promise<void> {
    try {
      while (!this.#isClosed) {
        const { body } = await this.#post("down", undefined, POLL_HOLD_MS + REQUEST_TIMEOUT_MS);
        this.#hear(readFrameList(body));
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #hear(frames: readonly Frame[]): void {
    for (const frame of frames) {
      if (!this.#isClosed) this.#listener.onFrame(frame);
    }
  }

  #post(direction: string, body: Buffer | undefined, timeoutMs: number): Promise<CloudAnswer> {
    const headers = { [SESSION_HEADER]: this.#session, [DIRECTION_HEADER]: direction };
    return post(this.#http, headers, body, timeoutMs);
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#end(
      error instanceof ConnectorError
        ? error
        : new ConnectorError("link-lost", "the link over HTTPS requests failed", {
            isRetryable: true,
            cause: error,
          }),
    );
  }

  /** What is queued goes with the goodbye, so that a last frame is not lost to a clean stop. */
  #end(reason: ConnectorError | undefined): void {
    this.#isClosed = true;
    const body = takeFrameList(this.#queue, MAX_POLL_BYTES);
    void this.#post("close", body, CLOSE_TIMEOUT_MS)
      .catch(() => undefined)
      .finally(() => this.#http[Symbol.dispose]());
    this.#listener.onClose(reason);
  }
}
