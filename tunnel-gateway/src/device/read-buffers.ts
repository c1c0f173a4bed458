/** Own limits: a busy connection reads 256 KiB at a time, an idle one holds 8 KiB, and this many lie in reserve. */
const BUSY_BYTES = 262_144;
const IDLE_BYTES = 8_192;
const MAX_RESERVE = 64;

/**
 * Buffers that sockets read into, used again and again: allocating one for each read costs about as much CPU as
 * encrypting what is in it.
 */
export class ReadBuffers {
  readonly #reserve: Buffer[] = [];

  /** A buffer; large where the last read showed that there is much to read. */
  take(isBusy: boolean): Buffer {
    if (!isBusy) return Buffer.allocUnsafeSlow(IDLE_BYTES);
    return this.#reserve.pop() ?? Buffer.allocUnsafeSlow(BUSY_BYTES);
  }

  /** Takes a buffer back that nobody reads or writes any more. */
  give(buffer: Buffer): void {
    if (buffer.length === BUSY_BYTES && this.#reserve.length < MAX_RESERVE) {
      this.#reserve.push(buffer);
    }
  }
}
