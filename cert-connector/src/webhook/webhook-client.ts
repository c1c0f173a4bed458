import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { BackOff } from "@isthmus/shared/link/back-off";
import { type CloudAnswer, CloudHttp } from "@isthmus/shared/link/cloud-http";
import type { Random } from "@isthmus/shared/random";
import { signatureHeaders } from "./signature.ts";

/** Our own limits. */
const MAX_ANSWER_BYTES = 65_536;
const ID_OCTETS = 16;

export interface WebhookSettings {
  /** The name that profiles use. */
  readonly name: string;
  readonly url: string;
  readonly notifyUrl: string | undefined;
  /** Read again for each message. */
  readonly secretFile: string;
  readonly timeoutMs: number;
  readonly retries: number;
  /** PEM. */
  readonly ca: string | undefined;
}

/** Signed JSON to one web service. Redirects are not followed: nobody else gets a challenge. */
export class WebhookClient implements Disposable {
  readonly #settings: WebhookSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #origins = new Map<string, CloudHttp>();

  constructor(
    settings: WebhookSettings,
    parts: { readonly clock: Clock; readonly random: Random },
  ) {
    this.#settings = settings;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  get settings(): WebhookSettings {
    return this.#settings;
  }

  /**
   * The JSON of a 200 answer; `undefined` for 204. Repeated with the same id where the service cannot be reached or has a
   * fault of its own. Throws ConnectorError `webhook-unreachable`, `webhook-busy` (both retryable), `webhook-http`,
   * `webhook-answer`.
   */
  async post(address: string, content: Readonly<Record<string, unknown>>): Promise<unknown> {
    const id = `msg_${this.#random.bytes(ID_OCTETS).toString("hex")}`;
    const backOff = new BackOff(this.#random);
    for (let attempt = 0; ; attempt += 1) {
      try {
        return this.#valueOf(await this.#send(address, id, content));
      } catch (error) {
        const mayHelp = error instanceof ConnectorError && error.isRetryable;
        if (!mayHelp || attempt >= this.#settings.retries) throw error;
        await delay(backOff.next(0));
      }
    }
  }

  [Symbol.dispose](): void {
    for (const http of this.#origins.values()) http[Symbol.dispose]();
    this.#origins.clear();
  }

  async #send(
    address: string,
    id: string,
    content: Readonly<Record<string, unknown>>,
  ): Promise<CloudAnswer> {
    const { name, secretFile, timeoutMs } = this.#settings;
    const url = new URL(address);
    const at = this.#clock.now();
    const body = JSON.stringify({ id, time: new Date(at).toISOString(), ...content });
    const signature = signatureHeaders({ id, at, body, secret: readSecretFile(secretFile) });
    try {
      return await this.#originOf(url).send({
        method: "POST",
        path: `${url.pathname}${url.search}`,
        headers: { "content-type": "application/json", accept: "application/json", ...signature },
        body: Buffer.from(body),
        maxAnswerBytes: MAX_ANSWER_BYTES,
        timeoutMs,
      });
    } catch (cause) {
      throw new ConnectorError(
        "webhook-unreachable",
        `webhook ${name}: ${url.host} gave no whole answer of at most ${MAX_ANSWER_BYTES} bytes within ${timeoutMs} ms`,
        { isRetryable: true, cause },
      );
    }
  }

  #valueOf({ status, body }: CloudAnswer): unknown {
    if (status === 204) return undefined;
    if (status === 429 || status >= 500)
      throw this.#fault("webhook-busy", `answered ${status}`, true);
    if (status !== 200) {
      throw this.#fault("webhook-http", `answered ${status}: expected 200 with JSON, or 204`);
    }
    try {
      return JSON.parse(body.toString("utf8"));
    } catch {
      throw this.#fault("webhook-answer", "answered 200 with something that is no JSON");
    }
  }

  #originOf(url: URL): CloudHttp {
    const known = this.#origins.get(url.origin);
    if (known !== undefined) return known;
    const made = new CloudHttp({ url: new URL(url.origin), ca: this.#settings.ca });
    this.#origins.set(url.origin, made);
    return made;
  }

  #fault(code: string, what: string, isRetryable = false): ConnectorError {
    return new ConnectorError(code, `webhook ${this.#settings.name} ${what}`, { isRetryable });
  }
}
