import type { CertificationRequest } from "@isthmus/shared/x509/certification-request";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import type { CertificatePlan } from "./certificate-plan.ts";
import type { Grant } from "./grant.ts";
import type { Issuer } from "./issuer.ts";
import type { Profile } from "./profile.ts";

/** What core needs done by others. */

/**
 * A certification authority, embedded or remote. One that signs here signs the plan's exact bytes; a remote one gets the
 * certification request, and what it answers is compared with the plan.
 */
export interface CertificateAuthority {
  /** The name that profiles use. */
  readonly name: string;
  /** Who would sign now. Throws ConnectorError `ca-unavailable` (retryable). */
  issuer(): Issuer;
  /** Signs, or asks for it. Called again with the same order after a crash: the serial number is the order's key. */
  issue(order: IssuanceOrder, signal?: AbortSignal): Promise<IssuanceAnswer>;
  /** Tells the authority itself; one whose lists come from the ledger has nothing to do. */
  revoke(of: { readonly serialNumber: string; readonly reason: RevocationReason }): Promise<void>;
}

export interface IssuanceOrder {
  readonly transactionId: string;
  readonly serialNumber: string;
  readonly issuerKeyId: string;
  /** TBSCertificate, DER: linted and in the ledger already. */
  readonly tbs: Uint8Array;
}

export type IssuanceAnswer =
  | { readonly kind: "issued"; readonly certificate: Buffer }
  /** A remote authority decides later; ask again with the same order. */
  | { readonly kind: "pending" }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

/** What a device shows for its right to a certificate, and for what. */
export interface ShownChallenge {
  readonly challengePassword: string | undefined;
  readonly profile: Profile;
  readonly transactionId: string;
  readonly certificationRequest: CertificationRequest;
  readonly requestedCommonName: string | undefined;
  readonly now: number;
}

/** Checks what a device shows. */
export interface ChallengeVerifier<Shown = ShownChallenge> {
  /**
   * What the challenge allows. Throws RefusalError `challenge-missing`, `challenge-invalid`, `challenge-expired`,
   * `challenge-profile`; ConnectorError (retryable) where who decides cannot be asked.
   */
  verify(shown: Shown): Promise<Grant>;
}

/** The local guardrails on what may be issued. Each throws RefusalError with the rule's name. */
export interface IssuanceGuard {
  judgeProfile(profile: Profile): void;
  judgePlan(plan: CertificatePlan, profile: Profile): void;
  /** The sliding window over all that is issued, counted in the intent's own transaction. */
  readonly window: { readonly max: number; readonly windowMs: number } | undefined;
}

/** Why nothing may be signed now, e.g. the clock is off; undefined if all is well. */
export type SigningObstacle = () => { readonly code: string; readonly message: string } | undefined;

/** Puts a failed enrolment on record; bounded, so that a flood of bad requests fills neither disk nor stream. */
export type FailureRecorder = (failure: {
  readonly transactionId: string;
  readonly profileId: string | undefined;
  readonly deviceId?: string | undefined;
  readonly error: unknown;
}) => Promise<void>;
