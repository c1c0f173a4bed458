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
