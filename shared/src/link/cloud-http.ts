import type { ClientRequestArgs, IncomingHttpHeaders, IncomingMessage } from "node:http";
import { Agent, request as httpRequest } from "node:http";
import type { Duplex } from "node:stream";
import { ConnectorError } from "../errors.ts";
import type { CloudAddress } from "./cloud-address.ts";
import { connectToCloud } from "./cloud-address.ts";
import { wholeBody } from "./message-body.ts";

const MAX_SOCKETS = 4;

export interface CloudRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** A longer answer is refused. */
  readonly maxAnswerBytes: number;
  readonly timeoutMs: number;
}

export interface CloudAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** HTTP requests to a control plane over kept connections, through the proxy and with the CA of its address. */
export class CloudHttp implements Disposable {
  readonly #address: CloudAddress;
  readonly #stop = new AbortController();
  readonly #agent: Agent;

  /** Requests over `maxSockets` wait for a connection, within their own timeout. */
  constructor(address: CloudAddress, { maxSockets = MAX_SOCKETS } = {}) {
    this.#address = address;
    this.#agent = new CloudAgent(address, maxSockets, this.#stop.signal);
  }

  /** Throws what `connectToCloud` throws, and `cloud-http` (retryable) for an answer that does not come whole. */
  async send(of: CloudRequest): Promise<CloudAnswer> {
    const answer = Promise.withResolvers<IncomingMessage>();
    const { url } = this.#address;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(of.timeoutMs)]);
    const request = httpRequest({
      agent: this.#agent,
      method: of.method,
      path: of.path,
      setHost: false,
      headers: { host: url.host, "content-length": of.body?.length ?? 0, ...of.headers },
      signal,
    });
    request.once("response", answer.resolve);
    request.on("error", answer.reject);
    request.end(of.body);
    try {
      const response = await answer.promise;
      const body = await wholeBody(response, {
        maxBytes: of.maxAnswerBytes,
        code: "cloud-http-too-large",
      });
      return { status: response.statusCode ?? 0, headers: response.headers, body };
    } catch (cause) {
      if (cause instanceof ConnectorError) throw cause;
      throw new ConnectorError("cloud-http", `no whole answer from ${url.host} to ${of.path}`, {
        isRetryable: true,
        cause,
      });
    }
  }

  /** Ends every connection; requests on them fail. */
  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#agent.destroy();
  }
}

/** Plain HTTP to Node, whatever the sockets do underneath: `connectToCloud` has put TLS into them. */
class CloudAgent extends Agent {
  readonly #address: CloudAddress;
  readonly #signal: AbortSignal;

  constructor(address: CloudAddress, maxSockets: number, signal: AbortSignal) {
    super({ keepAlive: true, maxSockets });
    this.#address = address;
    this.#signal = signal;
  }

  override createConnection(
    _options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): null {
    connectToCloud(this.#address, this.#signal).then(
      (socket) => callback?.(null, socket),
      // Node takes no stream beside an error, its types do.
      (error: Error) => (callback as ((error: Error) => void) | undefined)?.(error),
    );
    return null;
  }
}
