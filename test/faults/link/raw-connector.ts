import type { KeyObject } from "node:crypto";
import { hostOf } from "@isthmus/shared/link/cloud-address";
import { type LinkIdentity, makeHello } from "@isthmus/shared/link/handshake";
import { readFromControlPlane } from "@isthmus/shared/link/message-codec";
import type { FromConnector, FromControlPlane } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { WebSocket } from "ws";
import type { Enrolled } from "./connector-end.ts";

type Hello = Extract<FromConnector, { type: "hello" }>;

/** A connector played by hand: it says what a test wants it to say, and shows what it gets. */
export class RawConnector implements Disposable {
  readonly heard: FromControlPlane[] = [];
  readonly webSocket: WebSocket;
  readonly #identity: LinkIdentity;
  isClosed = false;

  private constructor(webSocket: WebSocket, identity: LinkIdentity) {
    this.webSocket = webSocket;
    this.#identity = identity;
    webSocket.on("message", (data: Buffer) => {
      const { message } = readFromControlPlane(data.toString("utf8"));
      if (message !== undefined) this.heard.push(message);
    });
    webSocket.on("error", () => {});
    webSocket.on("close", () => {
      this.isClosed = true;
    });
  }

  static async open(of: {
    readonly enrolled: Enrolled;
    readonly url: string;
    readonly bootId?: string;
    readonly privateKey?: KeyObject;
  }): Promise<RawConnector> {
    const { answer } = of.enrolled;
    const privateKey = of.privateKey ?? of.enrolled.privateKey;
    const { connectorId } = answer;
    const webSocket = new WebSocket(of.url, { ca: answer.caPem });
    const bootId = of.bootId ?? "raw-boot";
    const raw = new RawConnector(webSocket, { connectorId, bootId, privateKey });
    await raw.next("nonce");
    return raw;
  }

  /** The first message of a kind, waited for. */
  async next<Kind extends FromControlPlane["type"]>(
    kind: Kind,
  ): Promise<Extract<FromControlPlane, { type: Kind }>> {
    const found = await until(() => this.heard.find(({ type }) => type === kind), kind);
    return found as Extract<FromControlPlane, { type: Kind }>;
  }

  /** A hello as this connector would say it; `change` is applied before it is signed. */
  async hello(change: Partial<Hello> = {}): Promise<Hello> {
    const nonce = await this.next("nonce");
    const hello = await makeHello({
      identity: {
        ...this.#identity,
        connectorId: change.connectorId ?? this.#identity.connectorId,
        bootId: change.bootId ?? this.#identity.bootId,
      },
      nonce,
      channel: change.channel ?? hostOf(new URL(this.webSocket.url)),
      lanes: { epoch: 0, lastSeq: {}, commandSeq: 0 },
      configurationVersion: 0,
      capabilities: [],
      clockMs: Date.now(),
    });
    return { ...hello, ...change };
  }

  say(message: FromConnector | Readonly<Record<string, unknown>>): void {
    this.webSocket.send(JSON.stringify(message));
  }

  sayBinary(bytes: Uint8Array): void {
    this.webSocket.send(bytes);
  }

  /** Says hello and waits for the welcome. */
  async greet(change: Partial<Hello> = {}) {
    this.say(await this.hello(change));
    return await this.next("welcome");
  }

  [Symbol.dispose](): void {
    this.webSocket.terminate();
  }
}
