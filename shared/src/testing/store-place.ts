import { join } from "node:path";
import type { StorePlace } from "../store/worker-messages.ts";

/** Makes a place that nobody has used: a new database. */
type PlaceMaker = (folder: string) => Promise<StorePlace>;

let maker: PlaceMaker | undefined;

/** From here on the stores of this file's tests lie elsewhere than in files. */
export function usePlaces(make: PlaceMaker): void {
  maker = make;
}

/** Where a test's store is: a file in `folder`, unless the same tests run against another database. */
export async function newStorePlace(folder: string): Promise<StorePlace> {
  return (await maker?.(folder)) ?? { file: join(folder, "store.db") };
}
