import { ResultCodeError } from "ldapts";
import { ConnectorError } from "../errors.ts";

/** Result codes of RFC 4511 appendix A.2 that callers tell apart. */
export const RESULT = {
  timeLimitExceeded: 3,
  sizeLimitExceeded: 4,
  strongerAuthRequired: 8,
  unavailableCriticalExtension: 12,
  noSuchAttribute: 16,
  attributeOrValueExists: 20,
  noSuchObject: 32,
  invalidCredentials: 49,
  insufficientAccessRights: 50,
  busy: 51,
  unavailable: 52,
  unwillingToPerform: 53,
  entryAlreadyExists: 68,
} as const;

const CREDENTIALS: readonly number[] = [RESULT.invalidCredentials, RESULT.strongerAuthRequired];
const PASSING: readonly number[] = [RESULT.timeLimitExceeded, RESULT.busy, RESULT.unavailable];

/** The result code that the directory answered with; undefined where it gave no answer. */
export function resultCodeOf(error: unknown): number | undefined {
  return error instanceof ResultCodeError ? error.code : undefined;
}

/** What a directory's failure means to us: its answer, or that there was none. */
export function directoryError(name: string, error: unknown): ConnectorError {
  if (error instanceof ConnectorError) return error;
  const code = resultCodeOf(error);
  if (code === undefined) {
    const reason = error instanceof Error ? error.message : String(error);
    return new ConnectorError(
      "directory-unreachable",
      `directory ${name} cannot be reached: ${reason}`,
      { isRetryable: true, cause: error },
    );
  }
  if (CREDENTIALS.includes(code)) {
    return new ConnectorError(
      "directory-credentials",
      `directory ${name} does not let the service account in (LDAP result ${code}); check its name, its password and that it is not locked`,
      { cause: error },
    );
  }
  return new ConnectorError(
    "directory-answer",
    `directory ${name} answered with LDAP result ${code}`,
    { isRetryable: PASSING.includes(code), cause: error },
  );
}
