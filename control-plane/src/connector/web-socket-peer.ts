import type { Frame } from "@isthmus/shared/link/frame-list";
import { WebSocket } from "ws";
import type { LinkPeer, PeerOwner } from "./link-peer.ts";

/** A connector on a WebSocket. */
export class WebSocketPeer implements LinkPeer {
  readonly #webSocket: WebSocket;

  constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket;
  }

  /** Begins to hand frames to `owner`. */
  listen(owner: PeerOwner): void {
    this.#webSocket.on("message", (data: Buffer, isBinary: boolean) => {
      owner.onFrame(isBinary ? data : data.toString("utf8"));
    });
    // What goes wrong on the wire (a frame too large, a reset) is followed by `close`.
    this.#webSocket.on("error", () => {});
    this.#webSocket.on("close", () => owner.onClosed());
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  send(frame: Frame): void {
    if (this.#webSocket.readyState === WebSocket.OPEN) this.#webSocket.send(frame);
  }

  close(): void {
    this.#webSocket.close();
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }
}
