import type { PostgresqlPlace } from "./postgresql/place.ts";
import type { PortableError } from "./store-errors.ts";
import type { SqlValue } from "./transaction.ts";

/** Where a store is: a file of its own, or PostgreSQL, which replicas of the service share. */
export type StorePlace = { readonly file: string } | { readonly postgresql: PostgresqlPlace };

/** What the writer's worker is started with. `moduleUrl` is the file that exports migrations and operations. */
export interface WriterSettings {
  readonly place: StorePlace;
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

/** A store's writer on its own thread. */
export interface Writer {
  /** The outcome of each operation, in order. */
  run(batch: readonly QueuedOperation[]): Outcome[];
  /** Puts things in order before it is closed. */
  finish(): void;
}

export type ReaderSettings =
  | { readonly kind: "sqlite"; readonly file: string }
  | { readonly kind: "postgresql"; readonly place: PostgresqlPlace; readonly timeoutMs: number };

export interface ToReader {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
  readonly maxRows: number;
}

export type FromReader =
  | { readonly id: number; readonly ok: true; readonly rows: unknown[] }
  | { readonly id: number; readonly ok: false; readonly error: PortableError };
