import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { StorePlace } from "../store/worker-messages.ts";

/** Another database than SQLite, for tests that are run against both. */
interface OtherDatabase {
  /** A place that nobody has used. */
  newPlace(): Promise<StorePlace>;
  /** Runs SQL behind the store's back. */
  execute(place: StorePlace, sql: string): Promise<void>;
}

let other: OtherDatabase | undefined;

/** From here on the stores of this file's tests lie there. */
export function storeElsewhere(database: OtherDatabase): void {
  other = database;
}

/** Where a test's store is: a file in `folder`, unless the same tests run against another database. */
export async function newStorePlace(folder: string): Promise<StorePlace> {
  return (await other?.newPlace()) ?? { file: join(folder, "store.db") };
}

/** Changes what a closed store holds. */
export async function changeStored(place: StorePlace, sql: string): Promise<void> {
  if (!("file" in place)) return await other?.execute(place, sql);
  using database = new DatabaseSync(place.file);
  database.exec(sql);
}
