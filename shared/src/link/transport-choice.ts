import type { ConnectorError } from "../errors.ts";
import type { TransportKind } from "./link-transport.ts";

/** After this time on long-poll a WebSocket is tried again. */
const RETRY_WEB_SOCKET_MS = 3_600_000;
/** What says that WebSockets are not let through, and not merely that nobody is there. */
const BLOCKED_CODES = ["websocket-refused", "link-no-nonce"];

/** `auto` begins with WebSockets and goes over to long-poll where something on the way breaks them. */
export class TransportChoice {
  readonly #setting: TransportKind | "auto";
  #longPollUntil = Number.NEGATIVE_INFINITY;

  constructor(setting: TransportKind | "auto") {
    this.#setting = setting;
  }

  /** The transport for the next attempt. `nowMs` is of a monotonic clock. */
  next(nowMs: number): TransportKind {
    if (this.#setting !== "auto") return this.#setting;
    return nowMs < this.#longPollUntil ? "long-poll" : "websocket";
  }

  /** Tells how an attempt ended. */
  ended(kind: TransportKind, reason: ConnectorError | undefined, nowMs: number): void {
    if (kind === "websocket" && reason !== undefined && BLOCKED_CODES.includes(reason.code)) {
      this.#longPollUntil = nowMs + RETRY_WEB_SOCKET_MS;
    } else if (kind === "long-poll" && reason?.code === "long-poll-refused") {
      this.#longPollUntil = Number.NEGATIVE_INFINITY;
    }
  }
}
