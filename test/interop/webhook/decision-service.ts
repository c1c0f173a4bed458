import { createHmac } from "node:crypto";
import { createServer as createHttpServer, type IncomingHttpHeaders, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** One message that came, with its signature found good. */
export interface SignedMessage {
  readonly path: string;
  readonly id: string;
  readonly content: Readonly<Record<string, unknown>>;
}

export type ServiceAnswer =
  | { readonly status: number; readonly body?: string; readonly location?: string }
  | "hang"
  | "cut";

/**
 * A web service of an organisation that decides on challenges, as one writes it from the documentation of Standard
 * Webhooks: a message whose signature is not good is answered with 401.
 */
export class DecisionService implements AsyncDisposable {
  readonly messages: SignedMessage[] = [];
  readonly #server: Server;
  readonly #key: Buffer;
  readonly #scheme: string;
  readonly #answers: ServiceAnswer[] = [];
  #usual: ServiceAnswer = { status: 204 };

  private constructor(server: Server, key: Buffer, scheme: string) {
    this.#server = server;
    this.#key = key;
    this.#scheme = scheme;
    server.on("request", async (request, response) => {
      const body = await text(request);
      const message = this.#verified(request.url ?? "", request.headers, body);
      if (message === undefined) return response.writeHead(401).end();
      this.messages.push(message);
      const answer = this.#answers.shift() ?? this.#usual;
      if (answer === "hang") return;
      if (answer === "cut") return response.destroy();
      const { status, location } = answer;
      const headers = { ...(location !== undefined && { location }) };
      return response.writeHead(status, headers).end(answer.body);
    });
  }

  /** `secret` as in Standard Webhooks: `whsec_` and base64. With `tls` it is served over HTTPS. */
  static async start(
    secret: string,
    tls?: { readonly key: string; readonly cert: string },
  ): Promise<DecisionService> {
    const server = tls === undefined ? createHttpServer() : createHttpsServer(tls);
    const key = Buffer.from(secret.replace("whsec_", ""), "base64");
    const service = new DecisionService(server, key, tls === undefined ? "http" : "https");
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return service;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  decide(decision: unknown): void {
    this.#usual = { status: 200, body: JSON.stringify(decision) };
  }

  /** Before the usual answer. */
  answerNext(...answers: readonly ServiceAnswer[]): void {
    this.#answers.push(...answers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #verified(path: string, headers: IncomingHttpHeaders, body: string): SignedMessage | undefined {
    const id = String(headers["webhook-id"]);
    const signed = `${id}.${headers["webhook-timestamp"]}.${body}`;
    const expected = createHmac("sha256", this.#key).update(signed).digest("base64");
    if (headers["webhook-signature"] !== `v1,${expected}`) return undefined;
    return { path, id, content: JSON.parse(body) };
  }
}
