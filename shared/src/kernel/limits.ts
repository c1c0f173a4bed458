import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import { windowOf } from "./command-guard.ts";
import type { CommonGuardrails } from "./guardrails-file.ts";
import type { KernelOperations } from "./kernel-operations.ts";
import type { Limits } from "./service-definition.ts";

/** The guardrails' sliding windows, counted in the store. */
export function storedLimits(
  store: Store<KernelOperations>,
  guardrails: CommonGuardrails,
  clock: Clock,
): Limits {
  return {
    async consume(kind, count = 1) {
      const { max, perMinutes } = windowOf(guardrails, kind);
      const windowMs = perMinutes * 60_000;
      await store.run("consumeLimit", { kind, count, max, windowMs, now: clock.now() });
    },
    windowOf: (kind) => windowOf(guardrails, kind),
  };
}
