import { ConnectorError } from "@isthmus/shared/errors";
import type { Session } from "../core/admin-records.ts";
import type { ApiOperations } from "../core/api-operations.ts";

/** An object as the API answers it. */
export type Entity = Readonly<Record<string, unknown>>;

/** A page of a list of the API. */
export interface EntityPage {
  readonly entities: readonly Entity[];
  readonly count: number | undefined;
  /** What the next page is asked for with. */
  readonly skipToken: string | undefined;
}

/** A refusal of the API, in its own words. */
export class ApiRefusal extends ConnectorError {
  readonly status: number;

  constructor(status: number, code: string, message: string) {
    super(code, message);
    this.status = status;
  }
}

/** The API as whoever looks at a page may use it. Every method throws `ApiRefusal`. */
export class ConsoleApi {
  readonly session: Session;
  readonly #operations: ApiOperations;
  readonly #signal: AbortSignal;

  constructor(operations: ApiOperations, session: Session, signal: AbortSignal) {
    this.session = session;
    this.#operations = operations;
    this.#signal = signal;
  }

  async entity(path: string, query: Readonly<Record<string, string>> = {}): Promise<Entity> {
    return await this.#perform("get", path, { query: new URLSearchParams(query) });
  }

  /** Options that are empty are left out. */
  async page(
    path: string,
    query: Readonly<Record<string, string | undefined>>,
  ): Promise<EntityPage> {
    const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    const body = await this.#perform("get", path, {
      query: new URLSearchParams(kept as [string, string][]),
    });
    const [next, count] = [body["@odata.nextLink"], body["@odata.count"]];
    return {
      entities: (body["value"] ?? []) as Entity[],
      count: typeof count === "number" ? count : undefined,
      skipToken:
        typeof next === "string"
          ? (new URL(next).searchParams.get("$skiptoken") ?? undefined)
          : undefined,
    };
  }

  async post(path: string, body: unknown, idempotencyKey?: string): Promise<Entity> {
    return await this.#perform("post", path, {
      body,
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    });
  }

  async #perform(
    method: "get" | "post",
    path: string,
    of: {
      readonly query?: URLSearchParams;
      readonly body?: unknown;
      readonly idempotencyKey?: string;
    },
  ): Promise<Entity> {
    const result = await this.#operations.perform(
      { method, path, ...of },
      this.session,
      this.#signal,
    );
    const body = (result.body ?? {}) as Entity;
    if (result.status < 400) return body;
    const error = (body["error"] ?? {}) as Entity;
    const code = String((error["innerError"] as Entity | undefined)?.["code"] ?? "internal");
    throw new ApiRefusal(result.status, code, String(error["message"] ?? "The request failed"));
  }
}

/** A string in an OData filter. */
export function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
