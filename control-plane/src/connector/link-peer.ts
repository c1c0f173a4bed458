import type { Frame } from "@isthmus/shared/link/frame-list";

/** A connector's transport as this side sees it, whatever carries the frames. */
export interface LinkPeer {
  /** Bytes handed over and not yet given to the operating system. */
  readonly bufferedBytes: number;
  /** Sends a frame; after the end it does nothing. */
  send(frame: Frame): void;
  /** Ends the connection once what was sent is out. */
  close(): void;
  /** Stops taking frames in, and goes on. */
  pause(): void;
  resume(): void;
}

/** Who owns a peer. */
export interface PeerOwner {
  /** Whether it is known who the connector is. */
  readonly isWelcome: boolean;
  onFrame(frame: Frame): void;
  /** Called once. */
  onClosed(): void;
}
