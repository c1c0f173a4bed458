import type { Act, Session } from "../core/admin-records.ts";
import type { ApiStream } from "../core/api-operations.ts";
import type { Permission } from "../core/roles.ts";

/** A request of a signed-in administrator, its body parsed but not yet checked. */
export interface ApiRequest {
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** Value of `If-Match`, without quotes. */
  readonly ifMatch: string | undefined;
  /** Value of `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), without quotes. */
  readonly idempotencyKey: string | undefined;
  /** Value of `Accept`. */
  readonly accept: string;
  /** Aborts when the client goes. */
  readonly signal: AbortSignal;
  readonly session: Session;
  readonly act: Act;
}

export interface ApiAnswer {
  readonly status: number;
  /** Left out for 204. */
  readonly body?: unknown;
  /** In place of a body: sent as it comes. */
  readonly stream?: ApiStream;
}

/** One operation of the API. `permission` may depend on what the body changes. */
export interface Route {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** Below `/beta/deviceManagement`, in Express's spelling. */
  readonly path: string;
  readonly permission: Permission | ((body: unknown) => Permission);
  handle(request: ApiRequest): Promise<ApiAnswer>;
}

/** A parameter of the path that the route's own spelling guarantees. */
export function parameter(request: ApiRequest, name: string): string {
  return request.parameters[name] ?? "";
}
