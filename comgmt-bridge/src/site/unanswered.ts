import { type ConnectorError, codeOf } from "@isthmus/shared/errors";

const UNANSWERED = new Set(["site-timeout", "site-unavailable", "site-interrupted"]);

/**
 * What a single class or call may do while others are answered: nothing came, the front said that nothing is behind it (502, 503, 504), or the
 * connection ended before the whole answer.
 */
export function isUnanswered(error: unknown): error is ConnectorError {
  return UNANSWERED.has(codeOf(error));
}
