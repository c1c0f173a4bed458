import { readFileSync } from "node:fs";

/** Of a relayed connection, with a socket on either side, and of a session, with one for TCP and one for UDP. */
export const DESCRIPTORS_EACH = 2;

/** Descriptors that the process may open; no bound where the system names none. */
export function descriptorLimit(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
