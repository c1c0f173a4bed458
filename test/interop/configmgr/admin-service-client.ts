import { Agent, request } from "node:https";
import type { Site } from "../../simulators/configmgr/site.ts";

/** An answer as it came over the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; undefined where it is none. */
  readonly json: WireBody | undefined;
}

export type WireRow = Readonly<Record<string, unknown>>;
export interface WireBody extends WireRow {
  readonly value?: unknown;
  readonly error?: { readonly message: string; readonly innererror?: { readonly type: string } };
}

/** Plain HTTPS requests to a site, below `/AdminService` unless another prefix is given. */
export class AdminServiceClient implements Disposable {
  readonly #site: Site;
  readonly #agent: Agent;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #prefix: string;

  constructor(
    site: Site,
    headers: Readonly<Record<string, string>> = {},
    prefix = "/AdminService",
  ) {
    this.#site = site;
    this.#agent = new Agent({ keepAlive: true, ca: site.caPem });
    this.#headers = headers;
    this.#prefix = prefix;
  }

  get(path: string): Promise<WireAnswer> {
    return this.send("GET", path);
  }

  post(path: string, body: unknown): Promise<WireAnswer> {
    return this.send("POST", path, JSON.stringify(body));
  }

  /** The rows of a list; throws where the answer is none. */
  async rows(path: string): Promise<readonly WireRow[]> {
    const { status, json, text } = await this.get(path);
    if (status !== 200 || !Array.isArray(json?.value)) throw new Error(`${status} ${text}`);
    return json.value as WireRow[];
  }

  send(method: string, path: string, body?: string): Promise<WireAnswer> {
    const headers = {
      ...this.#headers,
      ...(body !== undefined && { "content-type": "application/json" }),
    };
    const url = new URL(`${this.#site.url}${this.#prefix}/${encodeURI(path)}`);
    return new Promise((resolve, reject) => {
      const sent = request(url, { method, headers, agent: this.#agent }, (response) => {
        response.toArray().then((chunks: Buffer[]) => {
          const text = Buffer.concat(chunks).toString("utf8");
          const status = response.statusCode ?? 0;
          resolve({ status, headers: response.headers, text, json: jsonOf(text) });
        }, reject);
      });
      sent.once("error", reject);
      sent.end(body);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function jsonOf(text: string): WireBody | undefined {
  try {
    return JSON.parse(text) as WireBody;
  } catch {
    return undefined;
  }
}
