import type { CommonConfiguration } from "@isthmus/shared/kernel/common-configuration";
import { loadGuardrails } from "@isthmus/shared/kernel/guardrails-file";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import { readStandalone } from "@isthmus/shared/kernel/standalone-file";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import { guardrails } from "../config/guardrails.ts";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { AccessRules } from "../core/access.ts";
import { compileRules } from "../core/compile-rules.ts";
import { ruleBounds } from "./rule-bounds.ts";
import { readLocalDestinations } from "./surroundings.ts";

export type CheckedLocal = LocalConfiguration &
  Pick<CommonConfiguration, "standalone" | "guardrailsFile">;

/**
 * Whether a gateway would take its own file, and what `judge` then says of it; where the form is wrong, `desired-configuration` says so.
 * Throws `ConfigurationError`, and `RefusalError` where the guardrails allow less.
 */
export function ownRulesHealth(
  local: CheckedLocal,
  file: string,
  judge: (rules: AccessRules) => CheckResult,
): CheckResult {
  const { configuration } = readStandalone(file);
  const parsed = desiredConfiguration.safeParse(configuration);
  if (!parsed.success) {
    return { status: "unknown", reason: "the desired configuration has faults", remedy: "see it" };
  }
  const allowed = guardrailsOf(local);
  const { bound } = readLocalDestinations(local, allowed);
  return judge(compileRules(parsed.data, ruleBounds(local, allowed, bound)));
}

function guardrailsOf({ guardrailsFile }: CheckedLocal) {
  if (guardrailsFile === undefined) return guardrails.parse({});
  return loadGuardrails("tunnel-gateway", guardrails, guardrailsFile).rules;
}
