import type { Server } from "node:https";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { readFromConnector } from "@isthmus/shared/link/message-codec";
import type { CommandState, FromConnector, FromControlPlane } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { type WebSocket, WebSocketServer } from "ws";
import type { Lab } from "./lab.ts";

/** A link node played by hand: it welcomes whoever comes, says what a test wants, and acknowledges nothing. */
export class FakeCloud implements AsyncDisposable {
  readonly heard: FromConnector[] = [];
  readonly #server: Server;
  readonly #webSockets: WebSocketServer;
  #peer: WebSocket | undefined;

  static async start(
    lab: Lab,
    welcome: Partial<Extract<FromControlPlane, { type: "welcome" }>> = {},
  ): Promise<FakeCloud> {
    const server = createServer({ cert: lab.tls.cert, key: lab.tls.key });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return new FakeCloud(server, welcome);
  }

  private constructor(
    server: Server,
    welcome: Partial<Extract<FromControlPlane, { type: "welcome" }>>,
  ) {
    this.#server = server;
    this.#webSockets = new WebSocketServer({ server });
    this.#webSockets.on("connection", (peer) => {
      this.#peer = peer;
      this.say({ type: "nonce", nonce: "bm9uY2U", serverTimeMs: Date.now() });
      peer.on("message", (data: Buffer, isBinary: boolean) => {
        if (isBinary) return;
        const { message } = readFromConnector(data.toString("utf8"));
        if (message === undefined) return;
        this.heard.push(message);
        if (message.type === "hello")
          this.say({ ...WELCOME, serverTimeMs: Date.now(), ...welcome });
      });
    });
  }

  get url(): string {
    return `wss://localhost:${(this.#server.address() as AddressInfo).port}/link`;
  }

  say(message: FromControlPlane | Readonly<Record<string, unknown>>): void {
    this.#peer?.send(JSON.stringify(message));
  }

  sayText(text: string): void {
    this.#peer?.send(text);
  }

  /** Whether a command was said to be in this state. */
  progressOf(state: CommandState): boolean {
    return this.heard.some(
      (message) => message.type === "command-progress" && message.state === state,
    );
  }

  /** What commands were said to wait for. */
  waits() {
    return this.heard.filter(
      (message) => message.type === "command-progress" && message.waitsFor !== undefined,
    );
  }

  /** Ends the connection, as a network that is gone does. */
  cut(): void {
    this.#peer?.terminate();
  }

  async next<Kind extends FromConnector["type"]>(
    kind: Kind,
  ): Promise<Extract<FromConnector, { type: Kind }>> {
    const found = await until(() => this.heard.find(({ type }) => type === kind), kind);
    return found as Extract<FromConnector, { type: Kind }>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#webSockets.clients) peer.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const WELCOME = {
  type: "welcome",
  sessionNo: 1,
  protocol: 1,
  lastAppliedSeq: {},
  commandSeq: 0,
  epoch: 0,
  credit: { commands: 32, bytes: 1_048_576 },
  configurationVersion: 0,
  serverTimeMs: 0,
} as const;
