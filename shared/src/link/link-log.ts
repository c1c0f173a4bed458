import type { Logger } from "pino";

/** The part of a logger that the link uses. */
export type LinkLog = Pick<Logger, "info" | "warn" | "error">;
