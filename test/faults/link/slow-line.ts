import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** Time that a piece of the line's rate lasts. */
const SLICE_MS = 10;

/** A TCP line to a port on loopback that carries only so many bytes per second towards it. */
export class SlowLine implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Bytes carried towards the port. */
  bytes = 0;

  static async start(of: {
    readonly port: number;
    readonly bytesPerSecond: number;
  }): Promise<SlowLine> {
    const line = new SlowLine(of.port, of.bytesPerSecond);
    await new Promise<void>((resolve) => {
      line.#server.listen(0, "127.0.0.1", resolve);
    });
    return line;
  }

  private constructor(port: number, bytesPerSecond: number) {
    this.#server = createServer((near) => {
      const far = connect({ port, host: "127.0.0.1" });
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.setNoDelay(true);
        socket.on("error", () => {});
        socket.on("close", () => {
          near.destroy();
          far.destroy();
        });
      }
      far.pipe(near);
      void this.#carry(near, far, bytesPerSecond);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async #carry(from: Socket, to: Socket, bytesPerSecond: number): Promise<void> {
    const begun = performance.now();
    let carried = 0;
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        for (let at = 0; at < chunk.length; at += 1_000) {
          const piece = chunk.subarray(at, at + 1_000);
          // An idle line saves nothing up for later.
          const due = begun + (carried / bytesPerSecond) * 1_000;
          const now = performance.now();
          if (now < due) await delay(Math.max(SLICE_MS, due - now));
          else carried = ((now - begun) / 1_000) * bytesPerSecond;
          carried += piece.length;
          this.bytes += piece.length;
          to.write(piece);
        }
      }
    } catch {
      // The line was cut.
    }
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
