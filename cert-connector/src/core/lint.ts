import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import {
  assembleSigned,
  type Certificate,
  parseCertificate,
} from "@isthmus/shared/x509/certificate";
import { ENCODING_RULES } from "./lint-encoding-rules.ts";
import { FORM_RULES } from "./lint-form-rules.ts";
import { KEY_RULES } from "./lint-key-rules.ts";
import { NAME_RULES } from "./lint-name-rules.ts";
import { PURPOSE_RULES } from "./lint-purpose-rules.ts";
import { RSA_RULES } from "./lint-rsa-rules.ts";
import type { LintRule, LintSubject } from "./lint-rule.ts";

/** Every rule, each small and tested with one bad certificate of its own. */
export const LINT_RULES: readonly LintRule[] = [
  ...FORM_RULES,
  ...ENCODING_RULES,
  ...KEY_RULES,
  ...RSA_RULES,
  ...NAME_RULES,
  ...PURPOSE_RULES,
];

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
  const certificate = readBack(tbs, context);
  if (typeof certificate === "string") return [`well-formed: ${certificate}`];
  const subject: LintSubject = { ...context, certificate };
  return LINT_RULES.flatMap((rule) => {
    const fault = rule.fault(subject);
    return fault === undefined ? [] : [`${rule.name}: ${fault}`];
  });
}

/** The parser is strict: it refuses a negative serial number, an extension that comes twice, lengths not in DER. */
function readBack(tbs: Buffer, { issuer }: Pick<LintSubject, "issuer">): Certificate | string {
  try {
    return parseCertificate(assembleSigned(tbs, issuer.signatureAlgorithm, NO_SIGNATURE));
  } catch (error) {
    if (error instanceof ProtocolError) return error.message;
    throw error;
  }
}
