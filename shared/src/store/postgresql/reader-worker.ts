import { parentPort, workerData } from "node:worker_threads";
import { ConnectorError } from "../../errors.ts";
import { toPortable } from "../store-errors.ts";
import type { FromReader, ReaderSettings, ToReader } from "../worker-messages.ts";
import { Dialect } from "./dialect.ts";
import { fromPostgresql, isOutdated } from "./failures.ts";
import { requireStorable } from "./pipeline.ts";
import { describePlace } from "./place.ts";
import { Reconnector } from "./reconnector.ts";

/**
 * The thread that answers a store's queries where the store is in PostgreSQL, on a connection of its own that cannot write.
 * Started by `reader.ts`.
 */
const settings = workerData as Extract<ReaderSettings, { readonly kind: "postgresql" }>;
const { place, timeoutMs } = settings;
const dialect = new Dialect(new Map());
const reconnector = new Reconnector({
  place,
  isReadOnly: true,
  isOwner: false,
  statementTimeoutMs: timeoutMs,
});

parentPort?.on("message", async (query: ToReader) => {
  parentPort?.postMessage(await answer(query));
});

async function answer(query: ToReader): Promise<FromReader> {
  try {
    return { id: query.id, ok: true, rows: await rowsOf(query) };
  } catch (error) {
    return { id: query.id, ok: false, error: toPortable(error) };
  }
}

async function rowsOf({ sql, parameters, maxRows }: ToReader): Promise<unknown[]> {
  requireStorable(parameters);
  const { text } = dialect.translate(sql);
  // One more than allowed, because the server cannot tell that there is no further one before it is asked.
  const statement = { text, values: parameters, maxRows: maxRows + 1 };
  const run = async () => await (await reconnector.session()).run([statement]);
  const first = await run();
  const outcome = !first.ok && isOutdated(first.failure) ? await run() : first;
  if (!outcome.ok) throw fromPostgresql(outcome.failure, describePlace(place));
  const rows = outcome.results[0]?.rows ?? [];
  if (rows.length <= maxRows) return rows;
  throw new ConnectorError(
    "store-result-too-large",
    `a query has more than the ${maxRows} rows it may return: narrow it`,
  );
}
