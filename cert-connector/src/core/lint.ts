import { ConnectorError } from "@isthmus/shared/errors";
import { assembleSigned, parseCertificate } from "@isthmus/shared/x509/certificate";
import { FORM_RULES } from "./lint-form-rules.ts";
import { KEY_RULES } from "./lint-key-rules.ts";
import { NAME_RULES } from "./lint-name-rules.ts";
import type { LintRule, LintSubject } from "./lint-rule.ts";

/** Every rule, each small and tested with one bad certificate of its own. */
export const LINT_RULES: readonly LintRule[] = [...FORM_RULES, ...KEY_RULES, ...NAME_RULES];

/** The signature is not there yet; no rule looks at it. One octet stands in its place so that the bytes parse whole. */
const NO_SIGNATURE = Buffer.alloc(1);

/**
 * Checks the very bytes that will be signed, read back by the parser and not by what made them. Throws ConnectorError
 * `lint` with every fault: a certificate that breaks a rule is never signed.
 */
export function lintTbs(tbs: Buffer, context: Omit<LintSubject, "certificate">): void {
  const faults = lintFaults(tbs, context);
  if (faults.length === 0) return;
  throw new ConnectorError("lint", `certificate would break ${faults.join("; ")}`);
}

/** Every broken rule as `name: what`. */
export function lintFaults(tbs: Buffer, context: Omit<LintSubject, "certificate">): string[] {
  const unsigned = assembleSigned(tbs, context.issuer.signatureAlgorithm, NO_SIGNATURE);
  const subject: LintSubject = { ...context, certificate: parseCertificate(unsigned) };
  return LINT_RULES.flatMap((rule) => {
    const fault = rule.fault(subject);
    return fault === undefined ? [] : [`${rule.name}: ${fault}`];
  });
}
