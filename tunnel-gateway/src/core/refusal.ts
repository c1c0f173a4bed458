/** What a refusal can be; a closed set, so that it is fit for a metric label. */
export const REFUSAL_CODES = [
  "certificate-identity-missing",
  "certificate-identity-ambiguous",
  "certificate-unreadable",
  "certificate-expired",
  "certificate-untrusted",
  "certificate-revoked",
  "certificate-unknown",
  "revocation-unknown",
  "revocation-outdated",
  "device-unknown",
  "device-removed",
  "device-noncompliant",
  "device-user-mismatch",
  "device-state-outdated",
  "policy-denied",
  "guardrail-destination",
  "egress-forbidden",
  "limit-connections",
  "cut-by-operator",
  "stopping",
] as const;
export type RefusalCode = (typeof REFUSAL_CODES)[number];

/** Why a device may not connect, or may not go on. `rule` names what decided, for the user, the administrator and the log. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly rule: string;
  readonly message: string;
}
