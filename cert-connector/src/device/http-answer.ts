/** A whole HTTP answer, ready to be written. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  /** How long caches may keep it; not at all where absent. */
  readonly maxAgeSeconds?: number;
  /** When to come back after a 503. */
  readonly retryAfterSeconds?: number;
}

/** One line for a person; `code` is stable. */
export function plainAnswer(status: number, code: string, message: string): HttpAnswer {
  return {
    status,
    contentType: "text/plain; charset=utf-8",
    body: Buffer.from(`${code}: ${message}\n`),
  };
}
