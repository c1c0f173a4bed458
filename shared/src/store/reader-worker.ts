import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { ConnectorError } from "../errors.ts";
import { openForReading } from "./database.ts";
import { fromSqlite, toPortable } from "./store-errors.ts";
import type { FromReader, ReaderSettings, ToReader } from "./worker-messages.ts";

/** The worker thread that answers a store's queries on a connection that cannot write. Started by `reader.ts`. */
const { file } = workerData as Extract<ReaderSettings, { readonly kind: "sqlite" }>;
let database: DatabaseSync | undefined;

parentPort?.on("message", (query: ToReader) => parentPort?.postMessage(answer(query)));

function answer(query: ToReader): FromReader {
  try {
    database ??= openForReading(file);
    return { id: query.id, ok: true, rows: rowsOf(database, query) };
  } catch (error) {
    return { id: query.id, ok: false, error: toPortable(fromSqlite(error, file)) };
  }
}

function rowsOf(connection: DatabaseSync, { sql, parameters, maxRows }: ToReader): unknown[] {
  const rows: unknown[] = [];
  const found = connection.prepare(sql).iterate(...(parameters as SQLInputValue[]));
  try {
    for (const row of found) {
      if (rows.length === maxRows) {
        throw new ConnectorError(
          "store-result-too-large",
          `a query has more than the ${maxRows} rows it may return: narrow it`,
        );
      }
      rows.push(row);
    }
    return rows;
  } finally {
    // A loop does not do this where the next row is what throws: an open statement would keep the connection at the
    // state of this moment for all later queries.
    found.return?.();
  }
}
