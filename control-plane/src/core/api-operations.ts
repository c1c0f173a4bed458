import type { Session } from "./admin-records.ts";

/** A request to the API from inside the control plane, in the words that a client uses outside. */
export interface ApiCall {
  readonly method: "get" | "post";
  /** Below `/beta/deviceManagement`, percent-encoded, without a query: `/managedDevices/PC-1/timeline`. */
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly body?: unknown;
  /** Value of the header `Idempotency-Key`. */
  readonly idempotencyKey?: string;
}

export interface ApiResult {
  readonly status: number;
  /** What a client would have parsed; of an error Graph's `{ error: { code, message, innerError } }`. */
  readonly body: unknown;
  /** In place of a body. Whoever takes it closes it. */
  readonly stream?: ApiStream;
}

/** An answer in pieces. The source is asked for the next one when the client has room for it, and closed when the client goes. */
export interface ApiStream {
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly chunks: AsyncIterable<string | Uint8Array>;
}

/**
 * The API for those who show it to people in another form: the same routes, permissions, audit and refusals as over HTTPS, and no other
 * way to anything. Never throws; what goes wrong is a result as a client sees it.
 */
export interface ApiOperations {
  perform(call: ApiCall, session: Session, signal: AbortSignal): Promise<ApiResult>;
}
