import pg from "pg";
import { ConnectorError } from "../../errors.ts";
import { endsConnection, fromPostgresql } from "./failures.ts";
import { Pipeline, type PipelineOutcome, PreparedStatements, type Statement } from "./pipeline.ts";
import {
  connectionSettings,
  describePlace,
  ownSchema,
  type PostgresqlPlace,
  SHARED_SCHEMA,
} from "./place.ts";

/** Own limits, ms. A step that waits longer than these is given up by the server, whoever hangs. */
const CONNECT_TIMEOUT_MS = 5_000;
const LOCK_TIMEOUT_MS = 10_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 15_000;
/** The server may not answer at all any more: then the connection is given up from here. */
const ANSWER_MARGIN_MS = 5_000;

export interface SessionOptions {
  readonly place: PostgresqlPlace;
  readonly isReadOnly: boolean;
  readonly statementTimeoutMs: number;
}

/** One connection to PostgreSQL with the suite's settings; made again by its owner once it is broken. */
export class Session implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #place: string;
  readonly #timeoutMs: number;
  readonly #prepared = new PreparedStatements();
  #running: Pipeline | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isBroken = false;

  private constructor(client: pg.Client, place: string, timeoutMs: number) {
    this.#client = client;
    this.#place = place;
    this.#timeoutMs = timeoutMs;
    const end = () => {
      this.#isBroken = true;
      this.#running?.handleError({ message: "the connection was lost" });
    };
    client.on("error", end);
    client.on("end", end);
    const wire = wireOf(client);
    wire.on("parseComplete", () => this.#running?.parsed());
    wire.on("readyForQuery", () => this.#running?.ready());
  }

  /**
   * @throws ConnectorError `store-unreachable`, `store-refused` (both retryable: a person may mend it meanwhile),
   * `store-address`.
   */
  static async open({ place, isReadOnly, statementTimeoutMs }: SessionOptions): Promise<Session> {
    const where = describePlace(place);
    const client = new pg.Client({
      ...connectionSettings(place),
      application_name: `isthmus ${place.replica}`,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      statement_timeout: statementTimeoutMs,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      options: optionsText({
        search_path: `${ownSchema(place)},${SHARED_SCHEMA}`,
        default_transaction_read_only: isReadOnly ? "on" : "off",
        default_transaction_isolation: "read\\ committed",
        standard_conforming_strings: "on",
        bytea_output: "hex",
        client_min_messages: "error",
        tcp_keepalives_idle: "10",
        tcp_keepalives_interval: "5",
        tcp_keepalives_count: "3",
      }),
    });
    // Without a listener an error between two statements would end the process.
    client.on("error", () => undefined);
    try {
      await client.connect();
    } catch (error) {
      void client.end().catch(() => undefined);
      throw failureOfConnect(error, where);
    }
    return new Session(client, where, statementTimeoutMs + ANSWER_MARGIN_MS);
  }

  /** Once true, for good: the owner opens another. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /**
   * Runs statements in one round trip, one call after another. A failure is a value here: what it means depends on where it
   * came.
   */
  run(statements: readonly Statement[]): Promise<PipelineOutcome> {
    const outcome = this.#last.then(() => this.#run(statements));
    this.#last = outcome;
    return outcome;
  }

  async #run(statements: readonly Statement[]): Promise<PipelineOutcome> {
    if (this.#isBroken) return brokenOutcome("the connection is closed");
    const outcome = await new Promise<PipelineOutcome>((resolve) => {
      const timer = setTimeout(() => {
        this.abandon();
        resolve(brokenOutcome("the server does not answer"));
      }, this.#timeoutMs);
      const pipeline = new Pipeline(statements, this.#prepared, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#running = pipeline;
      this.#client.query(pipeline);
    });
    this.#running = undefined;
    if (!outcome.ok && endsConnection(outcome.failure)) this.abandon();
    return outcome;
  }

  /** Runs a text of several statements, e.g. DDL, without values. What it has failed at leaves the connection unusable. */
  async script(sql: string): Promise<void> {
    await this.#last;
    try {
      await this.#client.query(sql);
    } catch (error) {
      this.abandon();
      const { message, code } = error as Error & { code?: string };
      throw fromPostgresql({ message, sqlState: code, index: 0 }, this.#place);
    }
  }

  /** Ends the connection at once, also where the server hangs. */
  abandon(): void {
    this.#isBroken = true;
    wireOf(this.#client).stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isBroken) return;
    this.#isBroken = true;
    await this.#client.end().catch(() => undefined);
  }
}

/** What the driver has and its types do not tell. */
function wireOf(client: pg.Client) {
  return (
    client as unknown as {
      readonly connection: {
        on(event: "parseComplete" | "readyForQuery", listener: () => void): void;
        readonly stream: { destroy(): void };
      };
    }
  ).connection;
}

function optionsText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");
}

function brokenOutcome(message: string): PipelineOutcome {
  return { ok: false, failure: { sqlState: undefined, message, index: 0 } };
}

function failureOfConnect(error: unknown, where: string): Error {
  const { message, code } = error as Error & { code?: string };
  const isAnswer = error instanceof pg.DatabaseError;
  const failure = fromPostgresql(
    { sqlState: isAnswer ? code : undefined, message, index: 0 },
    where,
  );
  if (failure instanceof ConnectorError) return failure;
  return new ConnectorError("store-unreachable", failure.message, { isRetryable: true });
}
