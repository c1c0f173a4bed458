import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy in front of a server that can lose what the server answers, as a network does that breaks. */
export class CuttingProxy implements AsyncDisposable {
  readonly #server = createServer((client) => this.#serve(client));
  readonly #port: number;
  readonly #open = new Set<Socket>();
  /** Once a client has sent this, nothing more comes back to it, and its connection ends. */
  cutAfter: string | undefined;

  private constructor(port: number) {
    this.#port = port;
  }

  /** In front of a port of loopback. */
  static async start(port: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(port);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #serve(client: Socket): void {
    const upstream = connect(this.#port, "127.0.0.1");
    let isCut = false;
    for (const socket of [client, upstream]) {
      this.#open.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#open.delete(socket));
    }
    client.on("data", (chunk: Buffer) => {
      if (this.cutAfter !== undefined && chunk.includes(this.cutAfter)) {
        isCut = true;
        // What the server does with it is seen by its answer: then the client is let go.
        upstream.once("data", () => client.destroy());
      }
      upstream.write(chunk);
    });
    upstream.on("data", (chunk: Buffer) => {
      if (!isCut) client.write(chunk);
    });
    client.on("close", () => upstream.end());
    upstream.on("close", () => client.destroy());
  }
}
