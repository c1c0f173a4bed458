import { ProtocolError } from "@isthmus/shared/errors";

/** A fault of one query option of a request. */
export class QueryOptionError extends ProtocolError {
  /** Its name, as it was sent: `$filter`. */
  readonly option: string;

  constructor(option: string, code: string, message: string, cause?: unknown) {
    super(code, message, cause);
    this.option = option;
  }
}

/** What `parse` makes of an option; a ProtocolError that it throws is one of that option, with the same code and message. */
export function inOption<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof ProtocolError) || error instanceof QueryOptionError) throw error;
    throw new QueryOptionError(option, error.code, error.message, error);
  }
}
