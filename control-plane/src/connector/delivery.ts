import type { FromControlPlane } from "@isthmus/shared/link/messages";
import { Pump } from "@isthmus/shared/link/pump";
import type { SessionKey } from "../core/link-records.ts";
import type { LinkContext } from "./link-context.ts";
import type { LinkPeer } from "./link-peer.ts";

/** Own limits: commands sent and not answered, taken from the store at once, and bytes that may wait on the socket. */
export const CREDIT_COMMANDS = 32;
const COMMANDS_AT_ONCE = 8;
const MAX_BUFFERED_BYTES = 1_048_576;

interface DeliveryOptions {
  readonly context: LinkContext;
  readonly session: SessionKey;
  readonly peer: LinkPeer;
  /** Version of the configuration that the connector has in force. */
  readonly configurationVersion: number;
  readonly send: (message: FromControlPlane) => void;
  readonly onFailed: (error: unknown) => void;
}

/** Hands one connector its commands in the order of their seq, as far as its credit goes, and newer configurations. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #pump: Pump;
  /** Commands that were sent on this connection and not answered. */
  readonly #unanswered = new Set<string>();
  #afterSeq = 0;
  #configurationSent: number;
  #trustSent = 0;
  #gap: { readonly from: number; readonly to: number } | undefined;
  #isStopped = false;

  constructor(options: DeliveryOptions) {
    this.#pump = new Pump(
      () => this.#sendSome(),
      (error) => {
        if (!this.#isStopped) options.onFailed(error);
      },
    );
    this.#options = options;
    this.#configurationSent = options.configurationVersion;
  }

  /** Looks for what there is to send. */
  wake(): void {
    this.#pump.start();
  }

  /** The connector lacks these; they are sent before anything else. A second request takes the place of the first. */
  fillGap(gap: { readonly from: number; readonly to: number }): void {
    this.#gap = gap;
    this.wake();
  }

  /** The connector has these commands. */
  answered(ids: readonly string[]): void {
    let hasRoom = false;
    for (const id of ids) hasRoom = this.#unanswered.delete(id) || hasRoom;
    if (hasRoom) this.wake();
  }

  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Sends what there is, and answers whether there may be more. All is asked for at once, to share one turn of the store, and
   * statements about tenant keys last, so that they cover every signature among the rest; they are sent first.
   */
  async #sendSome(): Promise<boolean> {
    if (this.#isStopped) return false;
    const { context, session, send, peer } = this.#options;
    const { connectorId } = session;
    const hasRoom = peer.bufferedBytes <= MAX_BUFFERED_BYTES;
    const limit = hasRoom ? Math.min(COMMANDS_AT_ONCE, CREDIT_COMMANDS - this.#unanswered.size) : 0;
    const [commands, configuration, trust] = await Promise.all([
      this.#takeCommands(limit),
      context.store.run("configurationAfter", { connectorId, version: this.#configurationSent }),
      context.store.run("trustStatements", { connectorId, afterId: this.#trustSent }),
    ]);
    if (this.#isStopped) return false;
    for (const { id, jws } of trust) {
      this.#trustSent = id;
      send({ type: "trust", jws });
    }
    if (configuration !== undefined) {
      this.#configurationSent = configuration.version;
      send({ type: "configuration", jws: configuration.jws });
    }
    return commands();
  }

  /** What is sent of commands, and whether there may be more, once it is its turn. */
  async #takeCommands(limit: number): Promise<() => boolean> {
    if (limit <= 0) return () => false;
    return this.#gap === undefined ? await this.#takeNext(limit) : await this.#answerGap(limit);
  }

  async #takeNext(limit: number): Promise<() => boolean> {
    const { context, session } = this.#options;
    const ask = { ...session, afterSeq: this.#afterSeq, limit, now: context.clock.now() };
    const deliveries = await context.store.run("takeDeliveries", ask);
    return () => {
      this.#afterSeq = deliveries.at(-1)?.seq ?? this.#afterSeq;
      for (const { id, jws } of deliveries) this.#sendCommand(id, jws);
      return deliveries.length === limit;
    };
  }

  async #answerGap(limit: number): Promise<() => boolean> {
    const gap = this.#gap;
    if (gap === undefined) return () => true;
    const { context, session, send } = this.#options;
    const answer = await context.store.run("answerGap", { ...session, ...gap, limit });
    return () => {
      for (const { id, jws } of answer.deliveries) this.#sendCommand(id, jws);
      for (const hole of answer.voids) send({ type: "command-void", ...hole });
      if (this.#gap === gap) {
        this.#gap = answer.restFrom === undefined ? undefined : { ...gap, from: answer.restFrom };
      }
      return true;
    };
  }

  #sendCommand(id: string, jws: string): void {
    if (this.#isStopped) return;
    this.#unanswered.add(id);
    this.#options.send({ type: "command", jws });
  }
}
