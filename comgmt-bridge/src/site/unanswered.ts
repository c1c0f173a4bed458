import { type ConnectorError, codeOf } from "@isthmus/shared/errors";

/** What a single class or call may do while others are answered: nothing came, or the front said that nothing is behind it (502, 503, 504). */
export function isUnanswered(error: unknown): error is ConnectorError {
  const code = codeOf(error);
  return code === "site-timeout" || code === "site-unavailable";
}
