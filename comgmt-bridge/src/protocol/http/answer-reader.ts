import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import { giveBack } from "@isthmus/shared/give-back";
import { type AnswerHead, MAX_HEAD_BYTES, noAnswer, readAnswerHead } from "./answer-head.ts";

/** Own limits: interim answers (1xx) in front of the answer, and the line of a chunk's size with what may stand behind it. */
const MAX_INTERIM = 8;
const MAX_CHUNK_LINE_BYTES = 1_024;
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const LF = 0x0a;

/**
 * Reads one answer of HTTP/1.1 (RFC 9112) from the octets of a connection, in whatever pieces they come; what is kept of them is copied. Node's own
 * client makes a stream of each answer, in pieces of a TLS record, which cost a reading of unchanged pages more than all else that it did.
 */
export class AnswerReader {
  readonly #maxBytes: number;
  readonly #body = new Pieces();
  #head: AnswerHead | undefined;
  #state: "head" | "body" | "chunk-size" | "chunk-end" | "trailer" | "whole" = "head";
  #lines: string[] = [];
  /** The part of a line that came so far. */
  #line = "";
  #lineBytes = 0;
  #interim = 0;
  /** Octets of the body, or of its chunk, that are still to come. */
  #left = 0;
  #bytes = 0;
  #hasMore = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Known once it came whole. */
  get head(): AnswerHead | undefined {
    return this.#head;
  }

  get isWhole(): boolean {
    return this.#state === "whole";
  }

  /** Whether something came behind the answer: whatever it is, it answers nothing that was asked. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /** Throws ProtocolError `http-answer`, ConnectorError `site-answer-too-large`; nothing may be pushed behind that. */
  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === "whole") {
        this.#hasMore = true;
        return;
      }
      at = this.#state === "body" ? this.#takeBody(bytes, at) : this.#takeLine(bytes, at);
    }
  }

  /** The connection ended. Throws ProtocolError `http-answer` where the answer did not. */
  end(): void {
    if (this.#state === "body" && this.#head?.length === "to-end") this.#state = "whole";
    if (this.#state !== "whole") {
      throw new ProtocolError("http-answer", "the connection ended in the middle of an answer");
    }
  }

  /** The pieces of the body, each a buffer of its own; once. */
  takeBody(): Buffer[] {
    return this.#body.take();
  }

  #takeBody(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    this.#body.add(bytes, at, end);
    this.#left -= end - at;
    if (this.#head?.length === "to-end") this.#count(end - at);
    else if (this.#left === 0) {
      this.#state = this.#head?.length === "chunked" ? "chunk-end" : "whole";
    }
    return end;
  }

  #takeLine(bytes: Buffer, at: number): number {
    const found = bytes.indexOf(LF, at);
    const end = found < 0 ? bytes.length : found + 1;
    this.#lineBytes += end - at;
    if (this.#lineBytes > this.#mostLineBytes()) throw noAnswer("its head or a line is too long");
    this.#line += bytes.toString("latin1", at, end);
    if (found < 0) return end;
    if (!this.#line.endsWith("\r\n")) throw noAnswer("a line ends without CR");
    const line = this.#line.slice(0, -2);
    this.#line = "";
    this.#endLine(line);
    return end;
  }

  /** Head and trailer are counted as a whole. */
  #mostLineBytes(): number {
    return this.#state === "head" || this.#state === "trailer"
      ? MAX_HEAD_BYTES
      : MAX_CHUNK_LINE_BYTES;
  }

  #endLine(line: string): void {
    switch (this.#state) {
      case "head":
        if (line !== "") this.#lines.push(line);
        else this.#endHead();
        return;
      case "chunk-size":
        this.#beginChunk(line);
        break;
      case "chunk-end":
        if (line !== "") throw noAnswer("a chunk is longer than it said");
        this.#state = "chunk-size";
        break;
      default:
        // Fields of a trailer are nothing that anybody asked for.
        if (line !== "") return;
        this.#state = "whole";
    }
    this.#lineBytes = 0;
  }

  #endHead(): void {
    const head = readAnswerHead(this.#lines);
    this.#lines = [];
    this.#lineBytes = 0;
    if (head.status < 200) {
      this.#interim += 1;
      const isInterim = head.status !== 101 && this.#interim <= MAX_INTERIM;
      if (!isInterim) throw noAnswer("it changes the protocol, or does not come to its end");
      return;
    }
    this.#head = head;
    const { length } = head;
    if (length === "chunked") this.#state = "chunk-size";
    else {
      this.#left = length === "to-end" ? Number.POSITIVE_INFINITY : length;
      if (length !== "to-end") this.#count(length);
      this.#state = length === 0 ? "whole" : "body";
    }
  }

  #beginChunk(line: string): void {
    const digits = CHUNK_SIZE.exec(line)?.[1];
    if (digits === undefined) throw noAnswer("a chunk has no size");
    this.#left = Number.parseInt(digits, 16);
    this.#count(this.#left);
    this.#state = this.#left === 0 ? "trailer" : "body";
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#maxBytes) return;
    throw new ConnectorError("site-answer-too-large", `the body exceeds ${this.#maxBytes} bytes`);
  }
}

/** Own choice: many times what comes at once, and little enough to be taken again from memory that was just given back. */
const PIECE_BYTES = 65_536;
const NOTHING = Buffer.alloc(0);

/** A body that grows, in few pieces. The first is as long as what comes first: most answers are short, or long. */
class Pieces {
  readonly #full: Buffer[] = [];
  #piece: Buffer = NOTHING;
  #filled = 0;

  add(bytes: Buffer, from: number, to: number): void {
    for (let at = from; at < to; ) {
      if (this.#filled === this.#piece.length) this.#begin(to - at);
      const copied = bytes.copy(this.#piece, this.#filled, at, to);
      this.#filled += copied;
      at += copied;
    }
  }

  take(): Buffer[] {
    const { length } = this.#piece;
    // One that is not full would keep its room for as long as the body lives.
    const last =
      length === this.#filled ? this.#piece : Buffer.from(this.#piece.subarray(0, this.#filled));
    if (last !== this.#piece) giveBack(this.#piece);
    this.#piece = NOTHING;
    this.#filled = 0;
    return [...this.#full.splice(0), ...(last.length === 0 ? [] : [last])];
  }

  #begin(wanted: number): void {
    const isFirst = this.#piece.length === 0;
    if (!isFirst) this.#full.push(this.#piece);
    this.#piece = Buffer.allocUnsafeSlow(isFirst ? wanted : PIECE_BYTES);
    this.#filled = 0;
  }
}
