import { type Logger, pino } from "pino";

/** A log that a test can read: its lines as they would be written, JSON each. */
export function writtenLog(): { readonly log: Logger; readonly lines: readonly string[] } {
  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
  return { log, lines };
}
