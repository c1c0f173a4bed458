import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { BackOff } from "@isthmus/shared/link/back-off";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import type { LinkTransport } from "@isthmus/shared/link/link-transport";
import { readFromControlPlane } from "@isthmus/shared/link/message-codec";
import {
  type FromConnector,
  type FromControlPlane,
  helloSigningInput,
  PROTOCOL_VERSION,
} from "@isthmus/shared/link/messages";
import { openWebSocket } from "@isthmus/shared/link/web-socket-transport";
import { systemRandom } from "@isthmus/shared/random";
import type { Turnstile } from "./turnstile.ts";

/** What goes up at this pace from a connector with nothing to do: health, and the head of its audit chain. */
export const REPORT_INTERVAL_MS = 60_000;

/** Where the fleet connects to. */
export interface FleetTarget {
  /** `wss://host:port/link`. */
  readonly url: string;
  /** PEM of the control plane's CA. */
  readonly ca: string;
}

/**
 * One connector of a fleet: the suite's own transport, handshake and back-off with nothing behind them, so that ten thousand
 * fit into a few processes. It stays connected, comes back when it is cut off, and reports once a minute.
 */
export class FleetConnector {
  readonly connectorId = randomUUID();
  readonly publicKeyX: string;
  readonly #privateKey: KeyObject;
  readonly #bootId = randomUUID();
  readonly #backOff = new BackOff(systemRandom);
  #transport: LinkTransport | undefined;
  #isWelcome = false;
  #auditIndex = 0;
  #refusal: string | undefined;
  #leave = () => {};

  constructor() {
    this.#privateKey = generateKeyPairSync("ed25519").privateKey;
    this.publicKeyX = publicKeyOf(this.#privateKey).x;
  }

  get isWelcome(): boolean {
    return this.#isWelcome;
  }

  /** What the control plane said when it last refused this connector. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /**
   * Connects, and connects again after each end, until `signal` aborts. Whoever is on the way to a welcome is in the
   * turnstile.
   */
  async run(target: FleetTarget, turnstile: Turnstile, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#leave = await turnstile.enter();
      const started = performance.now();
      const wasWelcome = await this.#session(target, signal);
      this.#leave();
      const lastedMs = wasWelcome ? performance.now() - started : 0;
      await delay(this.#backOff.next(lastedMs), undefined, { signal }).catch(() => {});
    }
  }

  /** Sends health and an audit head that has moved by one entry. */
  report(): void {
    if (!this.#isWelcome) return;
    this.#auditIndex += 1;
    this.#send({ type: "audit-head", index: this.#auditIndex, hash: sha256(randomUUID()) });
    this.#send(HEALTH_STATE);
  }

  /** One connection from its opening to its end. Answers whether it got as far as the welcome. */
  async #session(target: FleetTarget, signal: AbortSignal): Promise<boolean> {
    const ended = Promise.withResolvers<boolean>();
    let wasWelcome = false;
    try {
      this.#transport = await openWebSocket(
        { url: new URL(target.url), ca: target.ca },
        {
          onFrame: (frame) => {
            if (typeof frame === "string") this.#receive(frame, target);
            wasWelcome ||= this.#isWelcome;
          },
          onClose: () => ended.resolve(wasWelcome),
        },
        signal,
      );
    } catch {
      // The node is down or has no room yet: the back-off says when to try again.
      return false;
    }
    const close = () => this.#transport?.close();
    signal.addEventListener("abort", close);
    await ended.promise;
    signal.removeEventListener("abort", close);
    this.#isWelcome = false;
    return wasWelcome;
  }

  #receive(frame: string, target: FleetTarget): void {
    const { message } = readFromControlPlane(frame);
    if (message?.type === "welcome") {
      this.#isWelcome = true;
      this.#leave();
    }
    if (message?.type === "refused") this.#refusal = `${message.code}: ${message.message}`;
    const reply = message && this.#replyTo(message, target);
    if (reply !== undefined) this.#send(reply);
  }

  #replyTo(message: FromControlPlane, target: FleetTarget): FromConnector | undefined {
    if (message.type === "nonce") return this.#hello(message.nonce, new URL(target.url).hostname);
    if (message.type === "state-wanted") return { ...HEALTH_STATE, snapshot: HEALTH_SNAPSHOT };
    return message.type === "ping" ? { type: "pong", id: message.id } : undefined;
  }

  #hello(nonce: string, channel: string): FromConnector {
    const identity = { connectorId: this.connectorId, bootId: this.#bootId, channel };
    const signature = sign(null, helloSigningInput({ nonce, ...identity }), this.#privateKey);
    return {
      type: "hello",
      ...identity,
      epoch: 0,
      protocol: PROTOCOL_VERSION,
      capabilities: [],
      lastSeq: {},
      commandSeq: 0,
      configurationVersion: 0,
      clockMs: Date.now(),
      signature: signature.toString("base64url"),
    };
  }

  #send(message: FromConnector): void {
    this.#transport?.send(JSON.stringify(message));
  }
}

const HEALTH_SNAPSHOT = {
  service: "comgmt-bridge",
  version: "0.1.0",
  startedAt: 0,
  checks: ["link", "clock", "store", "certificate", "guardrails"].map((name) => ({
    name,
    status: "healthy",
    reason: `${name} is as it should be`,
  })),
  figures: {},
};
const HEALTH_DIGEST = sha256(JSON.stringify(HEALTH_SNAPSHOT));
const HEALTH_STATE = {
  type: "state",
  stream: "health",
  version: 1,
  digest: HEALTH_DIGEST,
} as const;

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
