import { ConnectorError } from "../../errors.ts";
import type { PipelineFailure } from "./pipeline.ts";

interface Meaning {
  readonly code: string;
  readonly message: string;
  readonly isRetryable: boolean;
}

const UNREACHABLE: Meaning = {
  code: "store-unreachable",
  message: "cannot be reached or has ended the connection",
  isRetryable: true,
};
const FULL: Meaning = {
  code: "store-full",
  message: "has no room left: free some disk space on its server",
  isRetryable: true,
};

const DENIED: Meaning = {
  code: "store-refused",
  message: "does not let the role do this: see how role and schemas are set up",
  isRetryable: false,
};

/** By SQLSTATE (PostgreSQL documentation, appendix A), whole or its class, what a person can act on. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  "08": UNREACHABLE,
  "53": UNREACHABLE,
  "53100": FULL,
  "53200": { code: "store-full", message: "has no memory left", isRetryable: true },
  "57P": UNREACHABLE,
  "57014": {
    code: "store-query-timeout",
    message: "took too long over a statement",
    isRetryable: true,
  },
  "55P03": {
    code: "store-locked",
    message: "is locked by another replica or transaction",
    isRetryable: true,
  },
  "40": {
    code: "store-locked",
    message: "gave way to another transaction",
    isRetryable: true,
  },
  "25006": {
    code: "store-read-only",
    message: "cannot be written: it is a standby, or set to be read only",
    isRetryable: true,
  },
  "25P03": UNREACHABLE,
  "23": {
    code: "store-constraint",
    message: "refused a row that breaks a constraint of its table",
    isRetryable: false,
  },
  "0A000": {
    code: "store-locked",
    message: "was changed by a newer release at this moment",
    isRetryable: true,
  },
  "22021": {
    code: "store-text",
    message: "refused a text with a character that it cannot store",
    isRetryable: false,
  },
  "28": {
    code: "store-refused",
    message: "refused the role or its password",
    isRetryable: true,
  },
  "3D000": { code: "store-refused", message: "has no such database", isRetryable: true },
  "42501": DENIED,
  // A schema that the role may not use is passed over in the search path.
  "3F000": DENIED,
  XX001: {
    code: "store-corrupt",
    message: "is damaged: restore it from a backup",
    isRetryable: true,
  },
};

/** The `ConnectorError` for a failure at `place`; an error of its own for what no person could act on. */
export function fromPostgresql(failure: PipelineFailure, place: string): Error {
  const { sqlState, message } = failure;
  const meaning = sqlState === undefined ? UNREACHABLE : meaningOf(sqlState);
  if (meaning === undefined) return new Error(`${place}: ${message} (SQLSTATE ${sqlState})`);
  // A lost row's values would stand in the detail, which is never asked for; the message names tables and rules alone.
  return new ConnectorError(meaning.code, `${place} ${meaning.message}: ${message}`, {
    isRetryable: meaning.isRetryable,
  });
}

/**
 * Whether a statement was prepared before a newer release added a column to what it selects ("cached plan must not change
 * result type"): on a new connection it is prepared anew.
 */
export function isOutdated({ sqlState }: PipelineFailure): boolean {
  return sqlState === "0A000";
}

/** Whether the connection is of no use after this: broken, ended by the server, outdated, or to one that may not write. */
export function endsConnection(failure: PipelineFailure): boolean {
  const { sqlState } = failure;
  if (sqlState === undefined || sqlState === "25006" || isOutdated(failure)) return true;
  return sqlState.startsWith("57P") || sqlState.startsWith("08") || sqlState === "25P03";
}

function meaningOf(sqlState: string): Meaning | undefined {
  return MEANINGS[sqlState] ?? MEANINGS[sqlState.slice(0, 3)] ?? MEANINGS[sqlState.slice(0, 2)];
}
