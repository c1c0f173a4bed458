import { ProtocolError } from "@isthmus/shared/errors";

/**
 * Messages between the control plane and its signer, on a local stream:
 *
 *     +---------------+----------------------+
 *     | length 4, BE  | JSON, UTF-8 (length) |
 *     +---------------+----------------------+
 */

const LENGTH_BYTES = 4;
/** Our own limit: the largest statement is a command or configuration of MAX_JWS_BYTES before base64. */
export const MAX_MESSAGE_BYTES = 786_432;

/** One framed message; throws ProtocolError `message-too-large`. */
export function frameMessage(value: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(value));
  checkLength(body.length);
  const head = Buffer.alloc(LENGTH_BYTES);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

/** Collects the bytes of one stream into messages. It holds at most one message and what arrived with its end. */
export class MessageReader {
  #parts: Buffer[] = [];
  #bytes = 0;

  /** Every message that is whole now; throws ProtocolError `message-too-large` or `message-not-json`, and is spent then. */
  push(chunk: Uint8Array): unknown[] {
    this.#parts.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
    const messages: unknown[] = [];
    for (;;) {
      const body = this.#take();
      if (body === undefined) return messages;
      messages.push(parseBody(body));
    }
  }

  #take(): Buffer | undefined {
    if (this.#bytes < LENGTH_BYTES) return undefined;
    if ((this.#parts[0]?.length ?? 0) < LENGTH_BYTES) this.#join();
    const length = this.#parts[0]?.readUInt32BE(0) ?? 0;
    checkLength(length);
    if (this.#bytes < LENGTH_BYTES + length) return undefined;
    const all = this.#join();
    const rest = all.subarray(LENGTH_BYTES + length);
    this.#parts = [rest];
    this.#bytes = rest.length;
    return all.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
  }

  #join(): Buffer {
    const all = Buffer.concat(this.#parts);
    this.#parts = [all];
    return all;
  }
}

function checkLength(length: number): void {
  if (length <= MAX_MESSAGE_BYTES) return;
  throw new ProtocolError(
    "message-too-large",
    `Message of ${length} bytes exceeds ${MAX_MESSAGE_BYTES}`,
  );
}

function parseBody(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new ProtocolError("message-not-json", "The body of a message is not JSON", cause);
  }
}
