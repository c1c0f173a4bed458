import type { Store } from "../store/store.ts";
import type { laneOperations } from "./lane-operations.ts";

/** The part of a connector's store that the link uses. */
export type LaneStore = Pick<Store<typeof laneOperations>, "run">;
