import { ProtocolError } from "@isthmus/shared/errors";

export function fault(words: string, cause?: unknown): ProtocolError {
  return new ProtocolError("inventory-document", `the inventory document: ${words}`, cause);
}

/** What a reader of either form found, before anything is known of it. */
export interface RawDocument {
  readonly deviceId: unknown;
  readonly content: unknown;
}
