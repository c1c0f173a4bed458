/**
 * The link over plain HTTPS requests, where WebSockets are not let through. Every request is `POST /link/poll`; bodies are
 * frame lists (`frame-list.ts`).
 *
 *     request                               answer
 *     no session                            200, session in a header, frames (the nonce)
 *     session, direction `up`, frames       204
 *     session, direction `down`             200, frames; empty when none came for `POLL_HOLD_MS`
 *     session, direction `close`            204
 *
 * A connector has one request up and one down on their way at a time, so frames keep their order. A session that is gone is
 * answered with 410.
 */
export const LONG_POLL_PATH = "/link/poll";
export const SESSION_HEADER = "isthmus-session";
export const DIRECTION_HEADER = "isthmus-direction";
/** How long a request down is held when there is nothing to say; under common 30 s proxy timeouts. */
export const POLL_HOLD_MS = 25_000;
/** Most frames' bytes in one body, but for a single frame that is larger. */
export const MAX_POLL_BYTES = 1_048_576;
/** The largest body: one text frame of the largest size, or a full list. */
export const MAX_POLL_BODY_BYTES = 2 * MAX_POLL_BYTES;
