import type { Clock } from "@isthmus/shared/clock";
import { scoredAddress } from "../core/vpn/scores.ts";

/** Own limits on lines: metrics count all that happens, and a flood of strangers fills no disk. */
export const MAX_LINES_A_SECOND = 50;
export const MAX_LINES_AN_ADDRESS = 10;
/** Own limit: addresses that are counted at once; those beyond share the lines of all. */
export const MAX_ADDRESSES = 10_000;
const SECOND_MS = 1_000;
/** In which an address has its lines; after it comes a line that says how many were left out. */
const WINDOW_MS = 60_000;

interface Log {
  info(fields: object, message: string): void;
}

/**
 * Writes of what anybody can bring about unasked so much a second and no more, and so much of each address (IPv6: /64) a
 * minute, so that one that makes noise hides no other. A line a minute says how many were left out.
 */
export class StrangerLog {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #byAddress = new Map<string, number>();
  #windowSince = 0;
  #secondSince = 0;
  #lines = 0;
  #suppressed = 0;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** `address` is the stranger's, where it is known. */
  info(fields: object, message: string, address?: string): void {
    this.sweep();
    if (this.#hasRoom(address)) this.#log.info(fields, message);
    else this.#suppressed += 1;
  }

  /** What time does; every second, so that the end of a flood is told as well. */
  sweep(): void {
    const now = this.#clock.now();
    if (isOver(now - this.#secondSince, SECOND_MS)) {
      this.#secondSince = now;
      this.#lines = 0;
    }
    if (!isOver(now - this.#windowSince, WINDOW_MS)) return;
    this.#windowSince = now;
    const addresses = [...this.#byAddress.values()].filter((lines) => lines > MAX_LINES_AN_ADDRESS);
    this.#byAddress.clear();
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    if (suppressed === 0) return;
    this.#log.info({ suppressed, noisyAddresses: addresses.length }, "strangers.suppressed");
  }

  #hasRoom(address: string | undefined): boolean {
    if (address !== undefined && this.#count(scoredAddress(address)) > MAX_LINES_AN_ADDRESS) {
      return false;
    }
    this.#lines += 1;
    return this.#lines <= MAX_LINES_A_SECOND;
  }

  #count(address: string): number {
    const lines = (this.#byAddress.get(address) ?? 0) + 1;
    const isCounted = lines > 1 || this.#byAddress.size < MAX_ADDRESSES;
    if (isCounted) this.#byAddress.set(address, lines);
    return lines;
  }
}

/** Also where the clock was set back: no window is to last until it has caught up. */
function isOver(passedMs: number, lengthMs: number): boolean {
  return passedMs >= lengthMs || passedMs < 0;
}
