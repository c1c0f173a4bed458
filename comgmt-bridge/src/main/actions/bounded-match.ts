import { createContext, Script } from "node:vm";

/**
 * Own limit: patterns come from a site and from a file, and some take longer than anybody lives. Far above what others take on a busy machine,
 * since a value whose pattern takes too long is refused.
 */
const MAX_MATCH_MS = 500;

const MATCH = new Script("new RegExp('^(?:' + pattern + ')$', flags).test(value)");

/** Whether the whole of a value matches; undefined where that takes too long or the pattern is none of ours. */
export function matchesWithin(pattern: string, value: string): boolean | undefined {
  // A pattern of .NET may be one of ours only without `u`, which forbids needless escapes.
  for (const flags of ["u", ""]) {
    try {
      return Boolean(
        MATCH.runInContext(createContext({ pattern, value, flags }), { timeout: MAX_MATCH_MS }),
      );
    } catch (error) {
      if ((error as { code?: unknown }).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return undefined;
    }
  }
  return undefined;
}
