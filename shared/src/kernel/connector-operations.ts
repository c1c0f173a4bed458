import type { laneOperations } from "../link/lane-operations.ts";
import type { KernelOperations } from "./kernel-operations.ts";

/** The operations that every connector's store has. */
export type ConnectorOperations = KernelOperations & typeof laneOperations;
