import type { OneTimeSteps } from "../core/one-time-steps.ts";

/** The steps that were used, in memory. */
export function usedSteps(): OneTimeSteps {
  const last = new Map<string, number>();
  return {
    async take({ authenticator, userName, step }) {
      const key = JSON.stringify([authenticator, userName]);
      if (step <= (last.get(key) ?? -1)) return false;
      last.set(key, step);
      return true;
    },
  };
}
