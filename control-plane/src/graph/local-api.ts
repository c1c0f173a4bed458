import { ConnectorError } from "@isthmus/shared/errors";
import type { Logger } from "pino";
import type { Session } from "../core/admin-records.ts";
import type { ApiCall, ApiOperations, ApiResult } from "../core/api-operations.ts";
import { errorAnswer, errorBody } from "./api-errors.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { performRoute } from "./perform-route.ts";
import type { Route } from "./route.ts";
import { allRoutes } from "./routes/all.ts";

interface Match {
  readonly route: Route;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The routes of the API for callers in the same process: found, permitted and refused as over HTTPS. */
export class LocalApi implements ApiOperations {
  readonly #api: ApiDependencies;
  readonly #log: Logger;
  readonly #routes: readonly Route[];

  constructor(api: ApiDependencies, log: Logger) {
    this.#api = api;
    this.#log = log;
    this.#routes = allRoutes(api);
  }

  async perform(call: ApiCall, session: Session, signal: AbortSignal): Promise<ApiResult> {
    try {
      const { route, parameters } = this.#find(call);
      const { status, body, stream } = await performRoute(route, {
        parameters,
        query: call.query ?? new URLSearchParams(),
        body: call.body,
        ifMatch: undefined,
        idempotencyKey: call.idempotencyKey,
        accept: "application/json",
        signal,
        session,
        act: { actor: session.userName, now: this.#api.clock.now() },
      });
      return stream === undefined ? { status, body } : { status, body, stream };
    } catch (error) {
      return this.#refusal(error);
    }
  }

  #find({ method, path }: ApiCall): Match {
    const segments = path.split("/");
    for (const route of this.#routes) {
      if (route.method !== method) continue;
      const parameters = parametersOf(route.path.split("/"), segments);
      if (parameters !== undefined) return { route, parameters };
    }
    throw new ConnectorError("not-found", `There is no operation ${method} ${path.slice(0, 200)}`);
  }

  #refusal(error: unknown): ApiResult {
    const answer = errorAnswer(error);
    if (answer.status === 500) this.#log.error({ err: error }, "api.failed");
    else this.#log.info({ code: answer.innerCode, status: answer.status }, "api.refused");
    return { status: answer.status, body: errorBody(answer) };
  }
}

/** What stands in the place of each `:name`; undefined where the path is another. */
function parametersOf(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? "";
    if (!part.startsWith(":")) {
      if (part !== segment) return undefined;
      continue;
    }
    if (segment === "") return undefined;
    parameters[part.slice(1)] = decoded(segment);
  }
  return parameters;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new ConnectorError("not-found", "No such path", { cause });
  }
}
