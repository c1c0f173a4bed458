import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { Session } from "../core/admin-records.ts";
import type { ApiOperations, ApiStream } from "../core/api-operations.ts";
import { isPermitted, type Permission } from "../core/roles.ts";

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

/** Throws `ApiRefusal` where no role of the session grants it. */
export function requirePermission({ session }: ConsoleApi, permission: Permission): void {
  if (isPermitted(session.roles, permission)) return;
  throw new ApiRefusal(403, "forbidden", `This needs the permission ${permission}`);
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
    const body = await this.#perform("get", path, { query: kept(query) });
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

  /** An export, once its first piece is there. Options that are empty are left out. */
  async file(
    path: string,
    query: Readonly<Record<string, string | undefined>>,
  ): Promise<ApiStream> {
    const call = { method: "get", path, query: kept(query) } as const;
    const { status, body, stream } = await this.#operations.perform(
      call,
      this.session,
      this.#signal,
    );
    if (stream === undefined) throw refusalOf(status, body);
    const chunks = stream.chunks[Symbol.asyncIterator]();
    try {
      const first = await chunks.next();
      return { ...stream, chunks: goingOn(first, chunks) };
    } catch (error) {
      if (codeOf(error) !== "too-many-exports") throw error;
      throw new ApiRefusal(503, "too-many-exports", (error as Error).message);
    }
  }

  /** The events of a stream as they come, some at a time; the first `ApiRefusal` before any. */
  async *events(
    path: string,
    query: Readonly<Record<string, string>>,
  ): AsyncGenerator<readonly Entity[]> {
    const call = { method: "get", path, query: new URLSearchParams(query) } as const;
    const { status, body, stream } = await this.#operations.perform(
      call,
      this.session,
      this.#signal,
    );
    if (stream === undefined) throw refusalOf(status, body);
    try {
      for await (const chunk of stream.chunks) {
        const lines = String(chunk).split("\n").slice(0, -1);
        yield lines.map((line) => JSON.parse(line) as Entity);
      }
    } catch (error) {
      // That there are too many is found when the first piece is asked for.
      if (codeOf(error) !== "streams-limit") throw error;
      throw new ApiRefusal(429, "streams-limit", (error as Error).message);
    }
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
    if (result.stream !== undefined) {
      await close(result.stream);
      throw new ApiRefusal(404, "not-found", "There is no such page");
    }
    if (result.status >= 400) throw refusalOf(result.status, result.body);
    return (result.body ?? {}) as Entity;
  }
}

function kept(query: Readonly<Record<string, string | undefined>>): URLSearchParams {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(given as [string, string][]);
}

async function* goingOn<Chunk>(
  first: IteratorResult<Chunk>,
  rest: AsyncIterator<Chunk>,
): AsyncGenerator<Chunk> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

function refusalOf(status: number, body: unknown): ApiRefusal {
  const error = ((body as Entity | undefined)?.["error"] ?? {}) as Entity;
  const code = String((error["innerError"] as Entity | undefined)?.["code"] ?? "internal");
  return new ApiRefusal(status, code, String(error["message"] ?? "The request failed"));
}

async function close({ chunks }: ApiStream): Promise<void> {
  await chunks[Symbol.asyncIterator]().return?.();
}

/** A string in an OData filter. */
export function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/**
 * What was typed to find a property by how it begins, as a filter. Beginnings are found by an index, with or without a star behind; with one
 * in front the text may stand anywhere.
 */
export function begins(property: string, typed: string): string {
  const words = typed.replace(/^\*/, "").replace(/\*$/, "");
  if (words === "") return "";
  const how = typed.startsWith("*") ? "contains" : "startswith";
  return `${how}(${property},${quoted(words)})`;
}

/** A filter of all these terms; empty ones are left out. */
export function allOf(terms: readonly (string | false)[]): string {
  return terms.filter((term) => typeof term === "string" && term !== "").join(" and ");
}
