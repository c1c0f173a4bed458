import { ConnectorError } from "@isthmus/shared/errors";
import { type JsonRequest, requestJson } from "./https-json.ts";

const BASE_PATH = "/beta/deviceManagement";
/** Pages are followed up to this many entries; more than a demonstration ever has. */
const MAX_ENTRIES = 100_000;

/** Where the control plane is and who signs in. */
export interface GraphAccount {
  readonly url: URL;
  /** PEM of the control plane's own authority. */
  readonly authority: string;
  readonly userName: string;
  readonly password: string;
}

/** A signed-in administrator at the control plane's API. Every call throws `api-refused` with status, code and message. */
export class GraphClient {
  readonly #account: GraphAccount;
  readonly #token: string;

  private constructor(account: GraphAccount, token: string) {
    this.#account = account;
    this.#token = token;
  }

  static async signIn(account: GraphAccount): Promise<GraphClient> {
    const { userName, password } = account;
    const answer = await call(account, {
      method: "POST",
      path: "/api/session",
      body: { userName, password },
    });
    return new GraphClient(account, (answer as { token: string }).token);
  }

  get<T>(path: string): Promise<T> {
    return this.#call("GET", path) as Promise<T>;
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#call("POST", path, body) as Promise<T>;
  }

  patch<T>(path: string, body: unknown): Promise<T> {
    return this.#call("PATCH", path, body) as Promise<T>;
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#call("PUT", path, body) as Promise<T>;
  }

  /** Every entry of a collection: follows `@odata.nextLink`. */
  async list<T>(path: string): Promise<T[]> {
    const entries: T[] = [];
    let next: string | undefined = path;
    while (next !== undefined && entries.length < MAX_ENTRIES) {
      const page: { value: T[]; "@odata.nextLink"?: string } = await this.get(next);
      entries.push(...page.value);
      next = page["@odata.nextLink"];
    }
    return entries;
  }

  #call(method: JsonRequest["method"], path: string, body?: unknown): Promise<unknown> {
    const isWhole = path.startsWith("https:");
    return call(this.#account, {
      method,
      path: isWhole ? path : `${BASE_PATH}${path}`,
      headers: { authorization: `Bearer ${this.#token}` },
      body,
    });
  }
}

interface Call {
  readonly method: JsonRequest["method"];
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

async function call(account: GraphAccount, of: Call): Promise<unknown> {
  const { path, ...rest } = of;
  const url = new URL(path, account.url);
  const answer = await requestJson({ ...rest, url, authority: account.authority });
  if (answer.status < 300) return answer.body;
  throw new ConnectorError(
    "api-refused",
    `${of.method} ${url.pathname} answered ${answer.status}: ${JSON.stringify(answer.body)}`,
  );
}
