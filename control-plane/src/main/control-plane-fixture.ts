import { readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { systemClock } from "@isthmus/shared/clock";
import { checkConfiguration } from "@isthmus/shared/kernel/configuration";
import { systemRandom } from "@isthmus/shared/random";
import { pino } from "pino";
import { configuration } from "../config/configuration.ts";
import { Passwords } from "../core/password.ts";
import type { Role } from "../core/roles.ts";
import { startControlPlane } from "./control-plane.ts";

/** A whole control plane for tests: real store, real HTTPS, a signer process of its own. */

const CHEAP = { N: 1_024, r: 8, p: 1, maxmem: 4_194_304 };
const PASSWORD = "a password for tests";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of many shapes
  readonly body: any;
}

export interface Call {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export class ControlPlaneFixture implements AsyncDisposable {
  readonly url: string;
  readonly folder: string;
  /** Where it says how it is. */
  readonly healthUrl: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    { url, folder, healthUrl }: Pick<ControlPlaneFixture, "url" | "folder" | "healthUrl">,
    resources: AsyncDisposableStack,
  ) {
    this.url = url;
    this.folder = folder;
    this.healthUrl = healthUrl;
    this.#resources = resources;
  }

  /** Starts one in `folder`, on the state that is there, with more in its configuration. */
  static async start(folder: string, more: object = {}): Promise<ControlPlaneFixture> {
    const resources = new AsyncDisposableStack();
    try {
      const { publicUrl, healthUrl } = await startControlPlane(
        {
          configuration: checkConfiguration(
            configuration,
            { stateFolder: "state", listen: { port: 0 }, ...more },
            join(folder, "config.json"),
          ),
          clock: systemClock,
          random: systemRandom,
          log: pino({ level: "silent" }),
          passwords: new Passwords(systemRandom, CHEAP),
        },
        {
          resources,
          fail(error) {
            throw error;
          },
        },
      );
      const where = { url: publicUrl, folder: join(folder, "state"), healthUrl };
      return new ControlPlaneFixture(where, resources);
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  /** Sends a request to any path of the server. */
  send(path: string, { method = "GET", body, headers = {} }: Call = {}): Promise<Answer> {
    const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
    const type = text === undefined ? {} : { "content-type": "application/json" };
    const ca = readFileSync(join(this.folder, "ca.pem"));
    return new Promise((resolve, reject) => {
      const sent = request(
        `${this.url}${path}`,
        { method, ca, agent: false, headers: { ...type, ...headers } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const { statusCode = 0, headers: received } = response;
            const bytes = Buffer.concat(chunks).toString();
            const isJson = received["content-type"]?.startsWith("application/json") === true;
            const parsed = isJson ? JSON.parse(bytes) : bytes;
            resolve({ status: statusCode, headers: received, body: parsed });
          });
        },
      );
      sent.on("error", reject);
      sent.end(text);
    });
  }

  /** The password that the first start made up. */
  get firstPassword(): string {
    return readFileSync(join(this.folder, "initial-admin-password"), "utf8").trim();
  }

  /** Signs in as the first administrator, or as one with these roles, made for it. */
  async client(...roles: readonly Role[]): Promise<ApiClient> {
    const first = await this.#signIn("admin", this.firstPassword);
    if (roles.length === 0) return first;
    const userName = `user-${systemRandom.bytes(6).toString("hex")}`;
    await first.post("/administrators", { userName, password: PASSWORD, roles }, 201);
    return await this.#signIn(userName, PASSWORD);
  }

  async #signIn(userName: string, password: string): Promise<ApiClient> {
    const { body } = await this.send("/api/session", {
      method: "POST",
      body: { userName, password },
    });
    return new ApiClient(this, body.token);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** The API as one administrator. Each call says which status it expects and answers the body. */
export class ApiClient {
  readonly token: string;
  readonly #fixture: ControlPlaneFixture;

  constructor(fixture: ControlPlaneFixture, token: string) {
    this.#fixture = fixture;
    this.token = token;
  }

  get(path: string, status = 200) {
    return this.call("GET", path, undefined, status);
  }

  post(path: string, body: unknown, status = 200) {
    return this.call("POST", path, body, status);
  }

  patch(path: string, body: unknown, status = 200) {
    return this.call("PATCH", path, body, status);
  }

  async call(method: string, path: string, body: unknown, status: number) {
    const answer = await this.answer(method, path, body);
    if (answer.status === status) return answer.body;
    throw new Error(
      `${method} ${path} answered ${answer.status}, not ${status}: ${JSON.stringify(answer.body)}`,
    );
  }

  answer(method: string, path: string, body?: unknown, headers = {}): Promise<Answer> {
    return this.#fixture.send(`/beta/deviceManagement${path}`, {
      method,
      body,
      headers: { authorization: `Bearer ${this.token}`, ...headers },
    });
  }
}
