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
  "credentials-wrong",
  "token-invalid",
  "authenticator-unreachable",
  "login-busy",
  "user-mismatch",
  "group-unknown",
  "group-not-member",
  "certificate-missing",
  "limit-sessions",
  "session-unknown",
  "session-ended",
  "address-exhausted",
  "address-family",
] as const;
export type RefusalCode = (typeof REFUSAL_CODES)[number];

/** Why a device may not connect, or may not go on. `rule` names what decided, for the user, the administrator and the log. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly rule: string;
  readonly message: string;
  /** For the log alone, never for whom it was refused: what a stranger should not learn of an account. */
  readonly detail?: string | undefined;
  /** When it may be worth trying again; what a client is told as `Retry-After`. */
  readonly retryAfterSeconds?: number | undefined;
}
