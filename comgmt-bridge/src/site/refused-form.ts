import { ConnectorError, codeOf, ProtocolError } from "@isthmus/shared/errors";

/**
 * What is said of a request whose filter is too long, or not understood, in the words of whoever stands in front: 400, 413, 414, 431, 404.15 of
 * IIS (answered 404), a page or a refusal of a proxy; and a provider that fails at it or never ends.
 */
const OF_THE_FORM = new Set([
  ...["site-bad-request", "site-status", "site-not-found", "site-page", "site-redirect"],
  ...["site-forbidden", "site-mfa-demanded", "site-failed", "site-interrupted", "site-timeout"],
]);

/** Whether the same, asked for in shorter filters, may be answered: nobody says so in one way. */
export function mayBeOfTheForm(error: unknown): error is ConnectorError {
  if (error instanceof ProtocolError) return true;
  return error instanceof ConnectorError && OF_THE_FORM.has(codeOf(error));
}
