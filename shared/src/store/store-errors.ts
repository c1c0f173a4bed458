import { ConnectorError, ProtocolError, RefusalError } from "../errors.ts";

/** Result codes of SQLite (sqlite.org/rescode.html) that a person can act on. */
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_CONSTRAINT = 19;
const SQLITE_NOTADB = 26;

interface Meaning {
  readonly code: string;
  readonly message: string;
  readonly isRetryable: boolean;
}

const MEANINGS: Readonly<Record<number, Meaning>> = {
  [SQLITE_BUSY]: {
    code: "store-locked",
    message: "is locked by another connection",
    isRetryable: true,
  },
  [SQLITE_READONLY]: {
    code: "store-read-only",
    message: "cannot be written: check the owner and mode of the file and its folder",
    isRetryable: false,
  },
  [SQLITE_IOERR]: {
    code: "store-io",
    message: "could not be read or written: check the disk",
    isRetryable: false,
  },
  [SQLITE_CORRUPT]: {
    code: "store-corrupt",
    message: "is damaged: restore the state folder from a backup",
    isRetryable: false,
  },
  [SQLITE_FULL]: {
    code: "store-full",
    message: "could not grow because the disk is full: free some space",
    isRetryable: true,
  },
  [SQLITE_CANTOPEN]: {
    code: "store-unopenable",
    message: "cannot be opened: check that its folder exists and may be written",
    isRetryable: false,
  },
  [SQLITE_CONSTRAINT]: {
    code: "store-constraint",
    message: "refused a row that breaks a constraint of its table",
    isRetryable: false,
  },
  [SQLITE_NOTADB]: {
    code: "store-corrupt",
    message: "is no SQLite database: restore the state folder from a backup",
    isRetryable: false,
  },
};

/** After these the database's state is unknown to us: nothing more is run on it. */
const FATAL_CODES: ReadonlySet<string> = new Set(["store-io", "store-corrupt"]);

/** Whether the store has to be closed after this error, because what is on disk can no longer be trusted. */
export function isFatal(error: ConnectorError): boolean {
  return FATAL_CODES.has(error.code);
}

/** Errors of the file system, met when the file is made, by the SQLite result that means the same. */
const SAME_AS: Readonly<Record<string, number>> = {
  ENOENT: SQLITE_CANTOPEN,
  ENOTDIR: SQLITE_CANTOPEN,
  EACCES: SQLITE_CANTOPEN,
  EPERM: SQLITE_CANTOPEN,
  EROFS: SQLITE_READONLY,
  ENOSPC: SQLITE_FULL,
  EDQUOT: SQLITE_FULL,
  EIO: SQLITE_IOERR,
};

/** The `ConnectorError` for an error that `node:sqlite` or the file system threw about `file`; any other as it is. */
export function fromSqlite(error: unknown, file: string): unknown {
  const resultCode = resultCodeOf(error);
  if (resultCode === undefined) return error;
  const meaning = MEANINGS[resultCode & 0xff];
  if (meaning === undefined) return error;
  return new ConnectorError(meaning.code, `store ${file} ${meaning.message}`, {
    isRetryable: meaning.isRetryable,
    cause: error,
  });
}

function resultCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errcode, code } = error as Error & { errcode?: unknown; code?: unknown };
  if (typeof errcode === "number") return errcode;
  return typeof code === "string" ? SAME_AS[code] : undefined;
}

/** An error as it crosses from a worker: the class by name, because structured clone loses it. */
export interface PortableError {
  readonly kind: "connector" | "refusal" | "protocol" | "unknown";
  readonly code: string;
  readonly message: string;
  readonly isRetryable: boolean;
  readonly rule?: string;
  readonly stack?: string;
}

/** The form in which an error leaves a worker. */
export function toPortable(error: unknown): PortableError {
  if (!(error instanceof ConnectorError)) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    return withStack({ kind: "unknown", code: "internal", message, isRetryable: false }, stack);
  }
  const { code, message, isRetryable } = error;
  const common = { code, message, isRetryable };
  if (error instanceof RefusalError) return { kind: "refusal", ...common, rule: error.rule };
  if (error instanceof ProtocolError) return { kind: "protocol", ...common };
  const cause = error.cause instanceof Error ? error.cause.stack : undefined;
  return withStack({ kind: "connector", ...common }, cause);
}

function withStack(error: PortableError, stack: string | undefined): PortableError {
  return stack === undefined ? error : { ...error, stack };
}

/** The error that a worker threw, rebuilt on this side with its class; its stack there is the cause. */
export function fromPortable(error: PortableError): Error {
  switch (error.kind) {
    case "refusal":
      return new RefusalError(error.code, error.rule ?? "", error.message);
    case "protocol":
      return new ProtocolError(error.code, error.message);
    case "connector":
      return new ConnectorError(error.code, error.message, {
        isRetryable: error.isRetryable,
        cause: error.stack,
      });
    case "unknown":
      return new Error(error.message, { cause: error.stack });
  }
}
