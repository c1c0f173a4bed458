import type { Clock } from "@isthmus/shared/clock";

/** A device's use of the relay, from its first connection until it has had none for a while. */
export interface RelaySession {
  readonly deviceId: string;
  readonly userPrincipalName: string | undefined;
  readonly beganAt: number;
}

export interface EndedRelaySession {
  readonly deviceId: string;
  readonly endedAt: number;
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** Is told of them, for the audit. */
export interface RelaySessionObserver {
  began(session: RelaySession): void;
  ended(session: EndedRelaySession): void;
}

/** A connection that has closed. */
interface Closed {
  readonly deviceId: string;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

interface Using {
  open: number;
  connections: number;
  bytesUp: number;
  bytesDown: number;
  closedAt: number;
}

/** Own choices: a device without a connection for so long has stopped, and how many may have one at once or have had one lately. */
const IDLE_MS = 600_000;
const DEVICES_AT_MOST = 100_000;

/**
 * When each device used the relay. A browser opens hundreds of connections in a minute, which is for the access log; that the
 * device was there from then until then is for whoever looks into what became of it.
 */
export class RelaySessions {
  readonly #clock: Clock;
  readonly #observer: RelaySessionObserver;
  /** In the order in which they began. */
  readonly #byDevice = new Map<string, Using>();

  constructor(clock: Clock, observer: RelaySessionObserver) {
    this.#clock = clock;
    this.#observer = observer;
  }

  opened({ deviceId, userPrincipalName }: Omit<RelaySession, "beganAt">): void {
    const using = this.#byDevice.get(deviceId);
    if (using !== undefined) {
      using.open += 1;
      using.connections += 1;
      return;
    }
    // The connection itself is bounded, and served, whether or not this is told of it.
    if (this.#byDevice.size >= DEVICES_AT_MOST) return;
    this.#byDevice.set(deviceId, {
      ...{ open: 1, connections: 1 },
      ...{ bytesUp: 0, bytesDown: 0, closedAt: 0 },
    });
    this.#observer.began({ deviceId, userPrincipalName, beganAt: this.#clock.now() });
  }

  closed({ deviceId, bytesUp, bytesDown }: Closed): void {
    const using = this.#byDevice.get(deviceId);
    if (using === undefined) return;
    // One that opened while there was no room is not among those that are open.
    using.open = Math.max(0, using.open - 1);
    using.bytesUp += bytesUp;
    using.bytesDown += bytesDown;
    using.closedAt = this.#clock.now();
  }

  /** Ends those that have been without a connection for long enough; to be called now and then. */
  sweep(): void {
    const before = this.#clock.now() - IDLE_MS;
    for (const [deviceId, using] of this.#byDevice) {
      if (using.open === 0 && using.closedAt <= before) this.#end(deviceId, using, using.closedAt);
    }
  }

  /** The gateway stops: all end. */
  end(): void {
    const now = this.#clock.now();
    for (const [deviceId, using] of this.#byDevice) {
      this.#end(deviceId, using, using.open > 0 ? now : using.closedAt);
    }
  }

  #end(deviceId: string, { connections, bytesUp, bytesDown }: Using, endedAt: number): void {
    this.#byDevice.delete(deviceId);
    this.#observer.ended({ deviceId, endedAt, connections, bytesUp, bytesDown });
  }
}
