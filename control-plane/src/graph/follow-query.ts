import { ConnectorError } from "@isthmus/shared/errors";
import { recordGuid } from "../core/record-guid.ts";
import type { QueryRow } from "../core/site-action-records.ts";
import { OPERATIONS } from "./ask-site-action.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { readEntity } from "./listing.ts";

/** Own limits. */
const MAX_FOLLOWERS = 100;
/** Of one person, so that nobody keeps all others from following. */
const MAX_OF_ACTOR = 20;
const MAX_STREAM_MS = 3_600_000;
const ROWS_AT_ONCE = 500;
/** A look, where no news were told; and a sign of life, where there is nothing to say. */
const LOOK_EVERY_MS = 5_000;
const SIGN_EVERY_MS = 10_000;
/** A query on thousands of devices has thousands of changes. */
const PROGRESS_EVERY_MS = 1_000;

/** How events are written: one JSON object a line, or server-sent events. */
export type StreamFormat = (event: string, data: object, id?: number) => string;

export const asLines: StreamFormat = (event, data) => `${JSON.stringify({ event, ...data })}\n`;
export const asServerSentEvents: StreamFormat = (event, data, id) =>
  `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;

/** A row of a query as the API shows it. */
export function rowBody({ number, key, recordId, deviceName, value }: QueryRow) {
  const managedDeviceId = recordId === null ? null : recordGuid(recordId);
  const row: unknown = JSON.parse(value);
  return { number, resourceId: key, managedDeviceId, deviceName, row };
}

export interface Following {
  readonly operationId: string;
  readonly actor: string;
  /** The number of the last row that the client has. */
  readonly after: number;
  readonly format: StreamFormat;
  readonly signal: AbortSignal;
  /** When the session of who follows ends. */
  readonly until: number;
}

/** Lets so many follow queries at a time. */
export class QueryFollowing {
  readonly #api: ApiDependencies;
  #followers = 0;
  readonly #ofActor = new Map<string, number>();

  constructor(api: ApiDependencies) {
    this.#api = api;
  }

  /**
   * The rows of a query as they come, how many devices are in which state, and `end` with the operation as it ended; or, where the
   * stream ends before the query, with `isComplete: false` and where to go on. Throws `streams-limit`.
   */
  async *follow(following: Following): AsyncGenerator<string> {
    if (this.#followers >= MAX_FOLLOWERS) {
      throw new ConnectorError("streams-limit", `${MAX_FOLLOWERS} streams are open already`);
    }
    const { actor } = following;
    const own = this.#ofActor.get(actor) ?? 0;
    if (own >= MAX_OF_ACTOR) {
      throw new ConnectorError("streams-limit", `You have ${MAX_OF_ACTOR} streams open already`);
    }
    this.#followers += 1;
    this.#ofActor.set(actor, own + 1);
    try {
      yield* this.#events(following);
    } finally {
      this.#followers -= 1;
      const left = (this.#ofActor.get(actor) ?? 1) - 1;
      if (left > 0) this.#ofActor.set(actor, left);
      else this.#ofActor.delete(actor);
    }
  }

  async *#events({ operationId, after, format, signal, until }: Following): AsyncGenerator<string> {
    const { clock, listing, actionFollowers } = this.#api;
    const endsAt = Math.min(until, clock.now() + MAX_STREAM_MS);
    let number = after;
    let told = "";
    let toldAt = 0;
    while (!signal.aborted) {
      const stop = new AbortController();
      // Listening begins before looking, so that nothing comes in between unseen.
      const news = actionFollowers.next(
        operationId,
        LOOK_EVERY_MS,
        AbortSignal.any([signal, stop.signal]),
      );
      try {
        const operation = await readEntity(listing, OPERATIONS, operationId);
        for await (const rows of this.#rows(operationId, number, signal)) {
          number = rows.at(-1)?.number ?? number;
          yield rows.map((row) => format("row", rowBody(row), row.number)).join("");
        }
        const isComplete = operation["endedDateTime"] !== null;
        if (isComplete || clock.now() >= endsAt) {
          yield format("end", { isComplete, after: number, operation });
          return;
        }
        const { state, deviceCounts, rowCount } = operation;
        const progress = { state, deviceCounts, rowCount };
        const text = JSON.stringify(progress);
        const pauseMs = text === told ? SIGN_EVERY_MS : PROGRESS_EVERY_MS;
        if (clock.now() - toldAt >= pauseMs) {
          told = text;
          toldAt = clock.now();
          yield format("progress", progress);
        }
        // What was held back is told once it may be.
        await (text === told ? news : actionFollowers.next(operationId, PROGRESS_EVERY_MS, signal));
      } finally {
        stop.abort();
      }
    }
  }

  /** All rows there are after a number, some at a time. */
  async *#rows(actionId: string, after: number, signal: AbortSignal): AsyncGenerator<QueryRow[]> {
    let afterNumber = after;
    while (!signal.aborted) {
      const wanted = { actionId, afterNumber, limit: ROWS_AT_ONCE };
      const rows = await this.#api.siteActions.queryRows(wanted);
      if (rows.length > 0) yield rows;
      if (rows.length < ROWS_AT_ONCE) return;
      afterNumber = rows.at(-1)?.number ?? afterNumber;
    }
  }
}
