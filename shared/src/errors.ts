interface ErrorDetails {
  /** Whether the same call may succeed later with nothing changed by a person. */
  readonly isRetryable?: boolean;
  readonly cause?: unknown;
}

/**
 * An error of the suite: `code` is stable and is what callers switch on, the message says what, where, what was
 * expected and what came instead, for a person who has to act on it.
 */
export class ConnectorError extends Error {
  readonly code: string;
  readonly isRetryable: boolean;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.isRetryable = details.isRetryable ?? false;
  }
}

/** Bytes or a message from a peer that break the protocol. Never retryable: the same bytes fail again. */
export class ProtocolError extends ConnectorError {
  constructor(code: string, message: string, cause?: unknown) {
    super(code, message, { cause });
  }
}

/** A decision against a request, with the name of the rule that made it. An expected outcome, not a fault. */
export class RefusalError extends ConnectorError {
  readonly rule: string;

  constructor(code: string, rule: string, message: string) {
    super(code, message);
    this.rule = rule;
  }
}

/** All faults of one configuration file, each with its key, in one message. */
export class ConfigurationError extends ConnectorError {
  readonly faults: readonly string[];

  constructor(source: string, faults: readonly string[]) {
    const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
    super("configuration-invalid", `${source} has ${count}:\n  ${faults.join("\n  ")}`);
    this.faults = faults;
  }
}

/** The code of any thrown value; `internal` for what is not ours, so that no detail leaves the process. */
export function codeOf(error: unknown): string {
  return error instanceof ConnectorError ? error.code : "internal";
}
