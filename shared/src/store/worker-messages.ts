import type { PortableError } from "./store-errors.ts";
import type { SqlValue } from "./transaction.ts";

/** What the writer's worker is started with. `moduleUrl` is the file that exports migrations and operations. */
export interface WriterSettings {
  readonly file: string;
  readonly moduleUrl: string;
  readonly isReadOnly: boolean;
}

export interface QueuedOperation {
  readonly name: string;
  readonly argument: unknown;
}

export type ToWriter =
  | { readonly type: "batch"; readonly operations: readonly QueuedOperation[] }
  | { readonly type: "close" };

/** How one operation of a batch ended. A value is sent only after the commit that made it durable. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: PortableError };

export type FromWriter =
  | { readonly type: "ready" }
  | { readonly type: "unopened"; readonly error: PortableError }
  | { readonly type: "outcomes"; readonly outcomes: readonly Outcome[] };

export interface ReaderSettings {
  readonly file: string;
}

export interface ToReader {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
  readonly maxRows: number;
}

export type FromReader =
  | { readonly id: number; readonly ok: true; readonly rows: unknown[] }
  | { readonly id: number; readonly ok: false; readonly error: PortableError };
