import { codeOf } from "@isthmus/shared/errors";
import { makeCounter } from "@isthmus/shared/kernel/counter";
import type { ScepReport } from "../device/scep-operations.ts";

/** Counters of the connector. Labels come from closed sets: profiles of the configuration and codes of this code. */
export interface IssuanceMetrics {
  count(report: ScepReport): void;
  countSuppressed(): void;
  countUntraced(): void;
}

export function issuanceMetrics(registry: Parameters<typeof makeCounter>[0]): IssuanceMetrics {
  const operation = makeCounter(registry, {
    name: "isthmus_scep_operations_total",
    help: "SCEP messages answered, by type and how",
    labels: ["profile", "type", "status"],
  });
  const failure = makeCounter(registry, {
    name: "isthmus_scep_failures_total",
    help: "SCEP failures by code",
    labels: ["profile", "code"],
  });
  const suppressed = makeCounter(registry, {
    name: "isthmus_failure_records_suppressed_total",
    help: "Failures that were counted but not recorded, because there were too many in a minute",
    labels: [],
  });
  const untraced = makeCounter(registry, {
    name: "isthmus_trace_messages_dropped_total",
    help: "Messages without a place in the trace, because there were too many in a minute",
    labels: [],
  });
  return {
    count({ profileId: profile, messageType: type, status, error }) {
      operation({ profile, type, status });
      if (error !== undefined) failure({ profile, code: codeOf(error) });
    },
    countSuppressed: () => suppressed({}),
    countUntraced: () => untraced({}),
  };
}
