import type { IncomingMessage } from "node:http";
import { ConnectorError } from "@isthmus/shared/errors";
import { giveBack } from "@isthmus/shared/give-back";

/**
 * The body of an answer in the pieces it came in. Most are only hashed, and putting those together first would cost more than reading them: memory
 * outside of the heap is what has it swept.
 */
export class AnswerBody {
  #chunks: readonly Buffer[];

  constructor(chunks: readonly Buffer[]) {
    this.#chunks = chunks;
  }

  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }

  /** Gives its memory back; nobody may read it any more. */
  release(): void {
    for (const chunk of this.#chunks) giveBack(chunk);
    this.#chunks = [];
  }

  /** Put together when it is first asked for, and kept so. */
  get whole(): Buffer {
    const [first, ...more] = this.#chunks;
    if (first !== undefined && more.length === 0) return first;
    const whole = Buffer.concat(this.#chunks);
    this.release();
    this.#chunks = [whole];
    return whole;
  }
}

/** Reads a body to its end. Throws ConnectorError `site-answer-too-large`, and what ended the connection before. */
export async function readBody(response: IncomingMessage, maxBytes: number): Promise<AnswerBody> {
  const end = Promise.withResolvers<AnswerBody>();
  const chunks: Buffer[] = [];
  let total = 0;
  response.on("data", (chunk: Buffer) => {
    total += chunk.length;
    if (total > maxBytes) {
      const words = `the body exceeds ${maxBytes} bytes`;
      end.reject(new ConnectorError("site-answer-too-large", words));
      return;
    }
    chunks.push(chunk);
  });
  response.once("end", () => end.resolve(new AnswerBody(chunks)));
  response.once("error", end.reject);
  response.once("close", () => end.reject(new Error("the connection was closed")));
  return await end.promise;
}
