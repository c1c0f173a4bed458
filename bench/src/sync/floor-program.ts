import { answerWith } from "../process/answering.ts";
import { floorPerRecord } from "./floor.ts";

/** The floor in a process of its own, so that nothing else is counted to it. */
export type FloorProgram = typeof handlers;

const handlers = { measure: floorPerRecord };

answerWith(handlers);
