import type { ConnectorError } from "../errors.ts";
import type { Frame } from "./frame-list.ts";

/** Two ways to carry the same frames. */
export type TransportKind = "websocket" | "long-poll";

/** An open way to the other side. It is used by one owner, which hears of its end exactly once. */
export interface LinkTransport {
  readonly kind: TransportKind;
  /** Bytes handed over and not yet given to the operating system. */
  readonly bufferedBytes: number;
  /** Sends a frame; after the end it does nothing. */
  send(frame: Frame): void;
  /** Ends it; `onClose` is called with nothing. */
  close(): void;
}

/** What the owner of a transport hears. Neither may throw. */
export interface TransportListener {
  onFrame(frame: Frame): void;
  /** Called once, with the reason unless it was `close`. */
  onClose(reason: ConnectorError | undefined): void;
}
