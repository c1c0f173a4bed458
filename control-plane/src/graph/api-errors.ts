import { ConnectorError } from "@isthmus/shared/errors";
import { type BodyFault, BodyInvalid } from "../core/body-faults.ts";
import { LoginThrottled } from "../core/sign-in.ts";
import { QueryOptionError } from "../protocol/query-option-error.ts";

/** How an error leaves: HTTP status, Graph's word for it, and headers. */
export interface ErrorAnswer {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** Our own code, finer than Graph's. */
  readonly innerCode: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of a body and of query options: what is wrong with which of them. */
  readonly faults?: readonly BodyFault[];
}

/** `error` as every answer has it. `target` is the first property or query option at fault, and `details` has them all where there are several. */
export function errorBody(answer: ErrorAnswer, innerError: Readonly<Record<string, string>> = {}) {
  const { code, message, innerCode, faults = [] } = answer;
  const target = faults.find((fault) => fault.target !== "")?.target;
  return {
    error: {
      code,
      message,
      ...(target !== undefined && { target }),
      ...(faults.length > 1 && { details: faults.map((fault) => ({ code, ...fault })) }),
      innerError: { code: innerCode, ...innerError },
    },
  };
}

/** Graph's top-level error codes by HTTP status. */
const GRAPH_CODES: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "InvalidAuthenticationToken",
  403: "Forbidden",
  404: "ResourceNotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  412: "PreconditionFailed",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "UnprocessableEntity",
  429: "TooManyRequests",
  500: "InternalServerError",
  501: "NotImplemented",
  503: "ServiceUnavailable",
};

const STATUSES: Readonly<Record<string, number>> = {
  unauthenticated: 401,
  "login-refused": 401,
  forbidden: 403,
  "not-found": 404,
  "method-not-allowed": 405,
  "certificate-revoked": 409,
  "command-ended": 409,
  "device-limit": 409,
  "device-synced": 409,
  "last-administrator": 409,
  "tunnel-server-limit": 409,
  "user-pfx-limit": 409,
  "configuration-conflict": 412,
  "user-pfx-conflict": 412,
  "body-too-large": 413,
  "command-too-large": 413,
  "configuration-too-large": 413,
  "audit-too-large": 413,
  "store-result-too-large": 413,
  "body-not-json": 415,
  "login-throttled": 429,
  "site-actions-limit": 429,
  "streams-limit": 429,
  "site-action-ended": 409,
  "device-ambiguous": 409,
  "script-not-approved": 409,
  "script-self-approved": 409,
  "script-changed": 409,
  "recovery-key-pending": 409,
  "reveal-secret-invalid": 403,
  "idempotency-key-reused": 422,
  "not-implemented": 501,
  "id-ambiguous": 400,
  "address-encoding": 400,
  "body-invalid": 400,
  "user-pfx-user": 400,
  "weak-password": 400,
  "statement-invalid": 400,
  "challenge-lifetime": 400,
  "command-kind": 400,
  "x509-name-text": 400,
};

/** Codes of one family by their end or beginning. */
const FAMILIES: readonly (readonly [RegExp, number])[] = [
  // Of a query's text: a column that is unknown is a fault of the request.
  [/^query-/, 400],
  [/-unknown$/, 404],
  [/-(exists|in-use|conflict)$/, 409],
  [/^odata-/, 400],
];

/** Classifies an error by its code; what is not ours leaves without detail. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (!(error instanceof ConnectorError)) return internal();
  const status = statusOf(error);
  if (status === 500) return internal();
  const headers: Record<string, string> = {};
  if (status === 401) headers["www-authenticate"] = 'Bearer realm="isthmus"';
  if (status === 503) headers["retry-after"] = "1";
  if (error instanceof LoginThrottled) {
    headers["retry-after"] = String(Math.ceil(error.waitMs / 1000));
  }
  const code = GRAPH_CODES[status] ?? "InternalServerError";
  const faults = faultsOf(error);
  return { status, code, message: error.message, innerCode: error.code, headers, faults };
}

function faultsOf(error: ConnectorError): readonly BodyFault[] {
  if (error instanceof BodyInvalid) return error.faults;
  if (!(error instanceof QueryOptionError)) return [];
  return [{ target: error.option, message: error.message }];
}

function statusOf(error: ConnectorError): number {
  const known = STATUSES[error.code];
  if (known !== undefined) return known;
  const family = FAMILIES.find(([pattern]) => pattern.test(error.code));
  if (family !== undefined) return family[1];
  return error.isRetryable ? 503 : 500;
}

function internal(): ErrorAnswer {
  return {
    status: 500,
    code: "InternalServerError",
    message: "The control plane failed; its log has the details under this request-id",
    innerCode: "internal",
    headers: {},
  };
}
