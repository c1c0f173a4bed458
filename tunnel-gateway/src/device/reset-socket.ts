import type { Socket } from "node:net";
import type { Writable } from "node:stream";

/**
 * Ends a TCP connection by a reset. `writer` is what writes to it, where that is another stream (TLS). While the end of a
 * connection is handed to the system, libuv refuses to reset it and Node then loses its handle: the descriptor would stay
 * open for ever. The system has every byte by then, so that a plain close makes nothing look complete that is not.
 */
export function resetSocket(socket: Socket, writer: Writable = socket): void {
  const isEnding = writer.writableEnded && !writer.writableFinished && writer.writableLength === 0;
  if (isEnding) socket.destroy();
  else socket.resetAndDestroy();
}
