import { ConnectorError } from "@isthmus/shared/errors";
import type { HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { explained } from "../core/explanations.ts";

/** The same checks; one that fails with an error says what to do about its code, where the table knows. */
export function explainedChecks(checks: readonly HealthCheck[]): readonly HealthCheck[] {
  return checks.map(({ name, run }) => ({
    name,
    run: async () => {
      try {
        return await run();
      } catch (error) {
        const known = error instanceof ConnectorError ? explained(error.code) : undefined;
        if (known === undefined) throw error;
        const { message } = error as ConnectorError;
        return { status: "unhealthy", reason: message, remedy: known.remedy };
      }
    },
  }));
}
