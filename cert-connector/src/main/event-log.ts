import { withMicrosoftEventId } from "../core/microsoft-events.ts";
import type { CertificateKernel } from "./service.ts";

type Log = CertificateKernel["log"];
const LEVELS = ["info", "warn", "error"] as const;

/** The same log, whose lines carry Microsoft's id of such an event. */
export function logWithEventIds(log: Log): Log {
  const child = log.child({});
  for (const level of LEVELS) {
    const write = child[level].bind(child);
    child[level] = (about: unknown, event?: string, ...rest: unknown[]) =>
      typeof about === "object" && about !== null && event !== undefined
        ? write(withMicrosoftEventId(event, about as Readonly<Record<string, unknown>>), event)
        : write(about as object, event, ...(rest as []));
  }
  return child;
}
