import { ProtocolError } from "@isthmus/shared/errors";
import {
  type HttpHead,
  headTooLarge,
  MAX_HTTP_BODY_BYTES,
  MAX_HTTP_HEAD_BYTES,
  parseHttpHead,
} from "./http-head.ts";

export interface HttpRequest extends HttpHead {
  readonly body: Buffer;
}

/** Own limit on what is held of one connection: one request, and as much of the next ones. */
export const MAX_HTTP_WAITING_BYTES = 2 * (MAX_HTTP_HEAD_BYTES + MAX_HTTP_BODY_BYTES);

const END = Buffer.from("\r\n\r\n");

/**
 * Cuts the bytes of one connection into requests:
 *
 *     bytes --push--> waiting --head complete--> head, body missing --body complete--> request --next-->
 *
 * After CONNECT the bytes are no requests any more; `takeRest` gives them out.
 */
export class HttpRequests {
  #chunks: Buffer[] = [];
  #waiting = 0;
  #head: HttpHead | undefined;
  /** Up to where the end of the head has been looked for, so that bytes that come one by one cost no more. */
  #searched = 0;

  /** Whether a request has begun and is not complete. */
  get isMidway(): boolean {
    return this.#head !== undefined || this.#waiting > 0;
  }

  /** Takes bytes; throws `ProtocolError` `http-waiting` when too many wait. */
  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#waiting + bytes.length > MAX_HTTP_WAITING_BYTES) {
      const most = MAX_HTTP_WAITING_BYTES;
      throw new ProtocolError("http-waiting", `more than ${most} bytes wait to be answered`);
    }
    this.#chunks.push(bytes);
    this.#waiting += bytes.length;
  }

  /** The next request; undefined until it is complete. Throws what `parseHttpHead` throws. */
  next(): HttpRequest | undefined {
    this.#head ??= this.#takeHead();
    const head = this.#head;
    if (!head || this.#waiting < head.contentLength) return undefined;
    this.#head = undefined;
    return { ...head, body: this.#take(head.contentLength) };
  }

  /** What came behind the last request. */
  takeRest(): Buffer {
    return this.#take(this.#waiting);
  }

  #takeHead(): HttpHead | undefined {
    const joined = this.#joined();
    const end = joined.indexOf(END, this.#searched);
    if (end >= 0) {
      this.#searched = 0;
      return parseHttpHead(this.#take(end + END.length));
    }
    if (joined.length >= MAX_HTTP_HEAD_BYTES) throw headTooLarge();
    this.#searched = Math.max(0, joined.length - END.length + 1);
    return undefined;
  }

  #take(length: number): Buffer {
    const joined = this.#joined();
    const rest = joined.subarray(length);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#waiting = rest.length;
    return joined.subarray(0, length);
  }

  #joined(): Buffer {
    const [only] = this.#chunks;
    const joined = this.#chunks.length === 1 && only ? only : Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}
