import { ConnectorError, codeOf, ProtocolError } from "@isthmus/shared/errors";
import { isClassIll } from "./silent-classes.ts";

/** What says that the answer is at fault: not that the site is away, busy, or does not let us in. */
const OF_THE_ANSWER = new Set([
  ...["site-failed", "site-bad-request", "site-forbidden", "site-mfa-demanded", "site-not-found"],
  ...["site-status", "site-page", "site-table-key", "site-answer-too-large", "site-table-too-long"],
]);

/** Whether something came of a class that cannot be used, whatever became of others. */
export function isUnusableAnswer(error: unknown): boolean {
  return OF_THE_ANSWER.has(codeOf(error));
}

/** Whether pages of a class cannot be trusted, or do not come while those of others do. */
export function isUntrusted(error: unknown): boolean {
  if (error instanceof ProtocolError || isClassIll(error)) return true;
  return error instanceof ConnectorError && error.code.startsWith("page-");
}
