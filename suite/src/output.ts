import type { Writable } from "node:stream";
import type { SuiteService } from "./layout.ts";

/** From this level on a line of a service reaches the console; all lines are in its log file. */
const CONSOLE_LEVEL = 40;
const LEVEL_NAMES: Readonly<Record<number, string>> = { 40: "warning", 50: "error", 60: "fatal" };

/**
 * Guardrails that the service itself could write: in earnest they belong to another user, here everything belongs to the
 * one who tries it.
 */
const KNOWN_HERE: ReadonlySet<string> = new Set(["guardrails.weak"]);

/** Where `npm start` and the tour say things: text for people, or one JSON object a line. */
export interface Output {
  /** `event` is stable for machines; `text` is what a person sees. */
  say(event: string, text: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A line that a service printed: shown if it matters, with the service's name before it. */
  serviceLine(service: SuiteService, line: string): void;
}

export function createOutput(isJson: boolean, stream: Writable = process.stdout): Output {
  const say: Output["say"] = (event, text, fields = {}) => {
    stream.write(isJson ? `${JSON.stringify({ event, ...fields })}\n` : `${text}\n`);
  };
  return {
    say,
    serviceLine(service, line) {
      const entry = readLogLine(line);
      if (entry === undefined || entry.level < CONSOLE_LEVEL) return;
      if (KNOWN_HERE.has(entry.message)) return;
      const level = LEVEL_NAMES[entry.level] ?? `level ${entry.level}`;
      const text = `[${service}] ${level}: ${entry.message}`;
      say("service-log", text, { service, level, message: entry.message });
    },
  };
}

/** A pino line, or plain text (a stack of a crashing process) as an error; undefined for an empty line. */
function readLogLine(line: string): { level: number; message: string } | undefined {
  if (line.trim() === "") return undefined;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry === "object" && entry !== null && "level" in entry) {
      const { level, msg, err, error } = entry as Record<string, unknown>;
      const cause = messageOf(err) ?? messageOf(error);
      const message = [msg, cause].filter((part) => typeof part === "string").join(": ");
      return { level: Number(level), message };
    }
  } catch {
    // Not JSON: what Node prints when a process fails.
  }
  return { level: 50, message: line };
}

function messageOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("message" in value)) return undefined;
  return String(value.message);
}
