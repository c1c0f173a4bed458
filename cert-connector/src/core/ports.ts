import type { CertificationRequest } from "@isthmus/shared/x509/certification-request";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import type { CertificatePlan } from "./certificate-plan.ts";
import type { Grant } from "./grant.ts";
import type { Issuer } from "./issuer.ts";
import type { PlannedNotification } from "./notification.ts";
import type { Profile } from "./profile.ts";

/** What core needs done by others. */

/**
 * A certification authority. An embedded one signs the plan's exact bytes. A remote one gets the certification request,
 * chooses the serial number, and what it answers is compared with the plan.
 */
export interface CertificateAuthority {
  /** Profiles use this name, or one of the labels. */
  readonly name: string;
  readonly labels: readonly string[];
  readonly kind: "embedded" | "remote";
  /** Who would sign now. Throws ConnectorError `ca-unavailable` (retryable). */
  issuer(): Issuer;
  /** Why it would not sign at the moment, from the last contact; undefined where all is well. Costs nothing. */
  obstacle(): string | undefined;
  /**
   * Signs, or asks for it. Throws a retryable ConnectorError where the authority cannot be reached or whether it has
   * signed is not known; then it is called again with the same order.
   */
  issue(order: IssuanceOrder, signal?: AbortSignal): Promise<IssuanceAnswer>;
  /** Tells the authority itself; one whose lists come from the ledger has nothing to do. */
  revoke(of: {
    readonly serialNumber: string;
    readonly reason: RevocationReason;
    /** DER. */
    readonly certificate: Uint8Array;
  }): Promise<void>;
}

export interface IssuanceOrder {
  readonly transactionId: string;
  /** Planned: the order's key. An embedded authority uses it. */
  readonly serialNumber: string;
  readonly issuerKeyId: string;
  /** TBSCertificate, DER: linted and in the ledger already. Names, validity and usages as they are to be are in it. */
  readonly tbs: Uint8Array;
  /** As the device sent it, DER; for remote authorities. */
  readonly certificationRequest?: Uint8Array | undefined;
  /** Asked for before and no answer was stored: a certificate may be there already. */
  readonly isRepeated: boolean;
  /** What the authority called the order when it answered `pending`. */
  readonly reference: string | undefined;
}

export type IssuanceAnswer =
  | { readonly kind: "issued"; readonly certificate: Buffer }
  /** A remote authority decides later; ask again with the same order. */
  | { readonly kind: "pending"; readonly reference?: string | undefined }
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
  /** The very bytes of an intent that was read from the ledger, before they are signed. */
  judgeBytes(of: Pick<IssuanceOrder, "tbs" | "issuerKeyId">, issuer: Issuer): void;
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
  /** Who validated the challenge, where it came to that. */
  readonly notification?: PlannedNotification | undefined;
}) => Promise<void>;
