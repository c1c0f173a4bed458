import { giveBack } from "@isthmus/shared/give-back";

/** Octets put together, outside of the heap, where nobody has to look through them or move them. */
export class Octets {
  #bytes: Buffer;
  #length = 0;

  constructor(room: number) {
    this.#bytes = Buffer.allocUnsafeSlow(room);
  }

  get length(): number {
    return this.#length;
  }

  /** Up to `length`, and until more is put in than there was room for. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  put(octet: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = octet;
    this.#length += 1;
  }

  append(bytes: Uint8Array, from: number, to: number): void {
    this.#reserve(to - from);
    this.#bytes.set(bytes.subarray(from, to), this.#length);
    this.#length += to - from;
  }

  #reserve(count: number): void {
    const before = this.#bytes;
    if (this.#length + count <= before.length) return;
    this.#bytes = Buffer.allocUnsafeSlow(2 * before.length + count);
    this.#bytes.set(before.subarray(0, this.#length));
    giveBack(before);
  }
}
