import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A TCP line to a port of loopback that can break, or carry nothing for a while. */
export class Wire implements AsyncDisposable {
  readonly #target: number;
  readonly #server = createServer({ pauseOnConnect: true }, (client) => this.#serve(client));
  readonly #open = new Set<Socket>();
  #isHeld = false;
  #isDown = false;
  /** Connections that found nobody. */
  refused = 0;

  private constructor(target: number) {
    this.#target = target;
  }

  static async open(target: number, port = 0): Promise<Wire> {
    const wire = new Wire(target);
    wire.#server.listen(port, "127.0.0.1");
    await once(wire.#server, "listening");
    return wire;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Every connection ends without a word. Returns how many there were. */
  cut(): number {
    const count = this.connections;
    for (const socket of this.#open) socket.resetAndDestroy();
    return count;
  }

  /** New connections are refused at once, those there are end. Returns how many there were. */
  setDown(isDown: boolean): number {
    this.#isDown = isDown;
    return isDown ? this.cut() : 0;
  }

  /** Nothing goes through any more, and nobody is told. Returns over how many connections. */
  setHeld(isHeld: boolean): number {
    this.#isHeld = isHeld;
    for (const socket of this.#open) isHeld ? socket.pause() : socket.resume();
    return this.connections;
  }

  /** Each has two ends. */
  get connections(): number {
    return Math.ceil(this.#open.size / 2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #serve(client: Socket): void {
    if (this.#isDown) {
      this.refused += 1;
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#target, "127.0.0.1");
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#open.add(from);
      from.on("data", (chunk) => void to.write(chunk));
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#open.delete(from);
        to.destroy();
      });
      if (this.#isHeld) from.pause();
      else from.resume();
    }
  }
}
