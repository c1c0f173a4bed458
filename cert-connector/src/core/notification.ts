import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { CertificationRequest } from "@isthmus/shared/x509/certification-request";
import { firstValue } from "@isthmus/shared/x509/name";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";

/**
 * What is told to whoever validated a challenge: that the certificate was issued, or why it was not. It waits in the
 * outbox, in the ledger's own transactions, until it was taken:
 *
 *     (intent) --issued--> waiting --accepted--> accepted
 *         \--refused--> (gone)   \--refused--> refused: the certificate is revoked
 */

/** Who is told: a tenant of Intune or a webhook, by its name in the local file. */
export interface NotificationTarget {
  readonly kind: "intune" | "webhook";
  readonly name: string;
}

/** Names of Intune's published contract (microsoft/Intune-Resource-Access); webhooks get the same. */
export interface SuccessPayload {
  readonly transactionId: string;
  /** DER in base64. */
  readonly certificateRequest: string;
  /** SHA-1, upper-case hex, as Windows shows it. */
  readonly certificateThumbprint: string;
  /** Upper-case hex. */
  readonly certificateSerialNumber: string;
  /** ISO 8601 with ms. */
  readonly certificateExpirationDateUtc: string;
  /** RFC 4514, of the issuing certificate. */
  readonly issuingCertificateAuthority: string;
  /** The authority's name in this connector. */
  readonly caConfiguration: string;
  /** The common name of the issuing certificate. */
  readonly certificateAuthority: string;
}

export interface FailurePayload {
  readonly transactionId: string;
  readonly certificateRequest: string;
  /** A signed 32-bit HRESULT. */
  readonly hResult: number;
  readonly errorDescription: string;
}

export type NotificationContent =
  | { readonly event: "success"; readonly payload: SuccessPayload }
  | { readonly event: "failure"; readonly payload: FailurePayload };

/** What is known of a notification before there is a certificate; kept with the intent. */
export interface PlannedNotification {
  readonly target: NotificationTarget;
  readonly transactionId: string;
  readonly certificateRequest: string;
}

/** One that nobody else sends until the claim's end. */
export type ClaimedNotification = NotificationContent & {
  readonly id: number;
  readonly target: NotificationTarget;
  /** Of the claim: whoever has claimed it since has a higher one. */
  readonly epoch: number;
  readonly attempts: number;
  readonly createdAt: number;
};

export type NotificationState = "accepted" | "waiting" | "refused";

/** A claim that is not ours any more changes nothing. Times are ms. */
export interface NotificationOutbox {
  /** Up to `max` that are due, or `id` if it is. */
  claim(of: {
    readonly id?: number | undefined;
    readonly owner: string;
    readonly at: number;
    readonly until: number;
    readonly max: number;
  }): Promise<readonly ClaimedNotification[]>;
  accepted(of: { readonly id: number; readonly epoch: number; readonly at: number }): Promise<void>;
  deferred(of: {
    readonly id: number;
    readonly epoch: number;
    readonly nextAt: number;
    readonly code: string;
    readonly message: string;
  }): Promise<void>;
  refused(of: {
    readonly id: number;
    readonly epoch: number;
    readonly at: number;
    readonly code: string;
    readonly rule: string;
    readonly message: string;
  }): Promise<void>;
  /** Of one whose enrolment has its certificate; `accepted` also for one that was forgotten since. */
  stateOf(id: number): Promise<NotificationState>;
  /** Takes back what an earlier process of this owner had claimed, and returns how many. */
  release(owner: string): Promise<number>;
}

/**
 * Tells one target. Resolves when it was taken. Throws RefusalError where it is refused for good; any other error means
 * that it is to be told again, not before `retryAfterMs` where the error has such a field.
 */
export interface Notifier {
  notify(content: NotificationContent, target: NotificationTarget): Promise<void>;
}

export function successPayload(of: {
  readonly planned: Pick<PlannedNotification, "transactionId" | "certificateRequest">;
  /** SHA-1 of the certificate, hex. */
  readonly sha1: string;
  readonly serialNumber: string;
  readonly notAfter: string;
  readonly issuer: string;
  readonly authority: string;
}): SuccessPayload {
  const { issuer, authority } = of;
  return {
    ...of.planned,
    certificateThumbprint: of.sha1.toUpperCase(),
    certificateSerialNumber: of.serialNumber.toUpperCase(),
    certificateExpirationDateUtc: of.notAfter,
    issuingCertificateAuthority: issuer,
    caConfiguration: authority,
    certificateAuthority: firstValue(parseNameText(issuer), OID.commonName) ?? issuer,
  };
}

export function plannedNotification(
  target: NotificationTarget,
  transactionId: string,
  { der }: Pick<CertificationRequest, "der">,
): PlannedNotification {
  return { target, transactionId, certificateRequest: der.toString("base64") };
}

/** Longer is cut: a description is for people, and Intune takes no more. */
const MAX_DESCRIPTION = 255;

/** Refusals that the next attempt of the same device may not meet, or that are about another request. */
const PASSING: readonly string[] = [
  "clock-behind",
  "pending-full",
  "profile-rate-exceeded",
  "limit-exceeded",
  "challenge-used",
];

/** An error as a failure to tell; undefined for one that a later attempt of the device may not meet. */
export function failurePayload(
  error: unknown,
  planned: Pick<PlannedNotification, "transactionId" | "certificateRequest">,
): FailurePayload | undefined {
  if (!(error instanceof ConnectorError) || error.isRetryable) return undefined;
  if (PASSING.includes(error.code)) return undefined;
  const { transactionId, certificateRequest } = planned;
  const errorDescription = `${error.code}: ${error.message}`.slice(0, MAX_DESCRIPTION);
  return { transactionId, certificateRequest, hResult: hResultOf(error), errorDescription };
}

/** [MS-ERREF] section 2.1: severity 1, customer bit 1, facility 4 (FACILITY_ITF), and our own number. */
const HRESULT_BASE = 0xa0040000;

/** By the first word of the rule that refused. */
const HRESULT_NUMBERS: Readonly<Record<string, number>> = {
  certificates: 2,
  lint: 3,
  profile: 4,
  certificate: 5,
  authority: 6,
};
const OTHER_NUMBER = 1;

function hResultOf(error: ConnectorError): number {
  const [area = ""] = error instanceof RefusalError ? error.rule.split(".", 1) : [];
  return (HRESULT_BASE + (HRESULT_NUMBERS[area] ?? OTHER_NUMBER)) | 0;
}
