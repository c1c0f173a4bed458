import type { MessagePort } from "node:worker_threads";
import type { PortableError } from "../store-errors.ts";
import type { PipelineOutcome, Statement } from "./pipeline.ts";
import type { PostgresqlPlace } from "./place.ts";

/** What the thread that speaks to PostgreSQL is started with. */
export interface SessionSettings {
  readonly place: PostgresqlPlace;
  readonly isReadOnly: boolean;
  /** Holds the number of the question whose answer lies in the port: the other thread sleeps on it. */
  readonly signal: SharedArrayBuffer;
  readonly port: MessagePort;
}

/** Numbered from 1, so that a late wake-up for one answer is not taken for that of the next. */
export interface NumberedQuestion {
  readonly number: number;
  readonly question: ToSession;
}

export type ToSession =
  /** Connects where there is no connection. */
  | { readonly type: "begin"; readonly statements: readonly Statement[] }
  /** Goes on with the transaction that `begin` began, on that very connection. */
  | { readonly type: "continue"; readonly statements: readonly Statement[] }
  /** Several statements as one text, without values. Connects where there is no connection. */
  | { readonly type: "script"; readonly sql: string }
  | { readonly type: "close" };

export type FromSession =
  | { readonly type: "outcome"; readonly outcome: PipelineOutcome }
  /** There is no connection, or a script failed. */
  | { readonly type: "failed"; readonly error: PortableError }
  | { readonly type: "done" };
