import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import type { AuthorityRevocation } from "./authority-revocation.ts";
import type { Grant } from "./grant.ts";
import type { FailurePayload, NotificationTarget, PlannedNotification } from "./notification.ts";
import type { PlannedPublication } from "./publication.ts";

/**
 * The ledger: what was asked, intended, signed and revoked. Each step is one durable operation, and what it reports
 * (issuance stream, audit) is written in the same transaction.
 *
 *     (request) --intent--> intent --issued--> issued --revoke--> issued, revokedAt
 *         |                    \--refused--> refused (by a remote authority)
 *         \--pending--> pending --approve--> intent ...
 *                          \--reject--> rejected
 */

/**
 * A request is dated before it waits for the ledger, and another one of a later time may be stored first: by another
 * replica, whose clock differs, too. Nothing is dated before what was issued already by more than this, ms.
 */
export const CLOCK_TOLERANCE_MS = 30_000;

/** Where a request came in. */
export type FrontDoor = "scep" | "pkcs";

/** What makes a retry the same request: a device that repeats it gets the same certificate. */
export interface RequestKey {
  readonly profileId: string;
  readonly transactionId: string;
  /** SHA-256 of the certification request's DER. */
  readonly requestHash: Uint8Array;
}

/** Stored before anything is signed: the serial number, and the exact bytes that will be. Times are ms. */
export interface Intent extends RequestKey {
  readonly frontDoor: FrontDoor;
  readonly authority: string;
  readonly issuerKeyId: string;
  /** RFC 4514, of the issuing certificate. */
  readonly issuer: string;
  /** Lower-case hex. A remote authority chooses another; then this one stays the order's key. */
  readonly serialNumber: string;
  readonly tbs: Uint8Array;
  /** For a remote authority, DER. */
  readonly certificationRequest?: Uint8Array | undefined;
  readonly subject: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly grant: Grant;
  /** SHA-256 of the SubjectPublicKeyInfo of who asked: the answer is for them, and only they may poll for it. */
  readonly requesterKeyHash: Uint8Array;
  /** Of the certificate that this one renews. */
  readonly renewsSerialNumber?: string | undefined;
  /** The approved pending request that this completes. */
  readonly pendingId?: number | undefined;
  readonly maxPerHour: number;
  /** The sliding window of the local guardrails over all profiles; none where they set none. */
  readonly window: { readonly max: number; readonly windowMs: number } | undefined;
  /** What is told of the certificate once there is one, in the transaction that stores it. */
  readonly notification?: PlannedNotification | undefined;
  /** Into which directory the certificate goes. */
  readonly publication?: PlannedPublication | undefined;
  readonly at: number;
}

/** A request that waits for a person. */
export interface PendingRequest extends RequestKey {
  readonly frontDoor: FrontDoor;
  readonly certificationRequest: Uint8Array;
  readonly grant: Grant;
  readonly subject: string;
  readonly requesterKeyHash: Uint8Array;
  readonly renewsSerialNumber?: string | undefined;
  readonly maxPerHour: number;
  readonly at: number;
}

/** An intent whose certificate is not stored yet: the same bytes are signed (again), so no serial is used twice. */
export interface UnfinishedIntent {
  readonly transactionId: string;
  readonly authority: string;
  readonly issuerKeyId: string;
  readonly serialNumber: string;
  readonly tbs: Uint8Array;
  readonly certificationRequest?: Uint8Array | undefined;
  readonly notificationId?: number | undefined;
}

/** Where a request stands. */
export type Standing =
  | {
      readonly kind: "issued";
      readonly certificate: Uint8Array;
      readonly issuerKeyId: string;
      /** Until it was accepted the device does not get the certificate. */
      readonly notificationId?: number | undefined;
    }
  | { readonly kind: "unfinished"; readonly intent: UnfinishedIntent }
  | { readonly kind: "pending"; readonly pendingId: number };

export type IntentOutcome =
  | Standing
  | { readonly kind: "recorded"; readonly notificationId?: number | undefined };

export interface IssuedRecord {
  /** The intent's. */
  readonly serialNumber: string;
  readonly certificate: Uint8Array;
  /** SHA-256 of the certificate, hex. */
  readonly thumbprint: string;
  /** Where a remote authority decided otherwise than planned. */
  readonly actual?: Pick<
    Intent,
    "serialNumber" | "issuerKeyId" | "issuer" | "notBefore" | "notAfter"
  >;
  /** The authority was asked more than once: where it cannot look for the first certificate there may be two. */
  readonly wasAskedAgain?: boolean;
  readonly at: number;
}

export interface RefusedRecord {
  /** The intent's. */
  readonly serialNumber: string;
  readonly revoke?: AuthorityRevocation | undefined;
  readonly at: number;
}

/** Whether a remote authority may be asked now, and what is known of earlier attempts. */
export type AskOutcome =
  /** Another call, of this process or of another replica, waits for the answer. */
  | { readonly kind: "busy" }
  | {
      readonly kind: "ask";
      readonly isRepeated: boolean;
      readonly reference: string | undefined;
    };

export interface FailureRecord {
  readonly transactionId: string;
  readonly profileId: string | undefined;
  readonly deviceId?: string | undefined;
  readonly code: string;
  readonly rule?: string | undefined;
  readonly message: string;
  /** Who validated the challenge hears of it. */
  readonly notify?:
    | { readonly target: NotificationTarget; readonly payload: FailurePayload }
    | undefined;
  readonly at: number;
}

export interface Revocation {
  readonly serialNumber: string;
  /** RFC 4514; needed only where two issuers have used the same number. */
  readonly issuer?: string | undefined;
  readonly reason: RevocationReason;
  /** Who asked: an actor of the cloud, or `local`. */
  readonly actor: string;
  readonly at: number;
}

export type RevocationOutcome =
  | {
      readonly kind: "revoked" | "already-revoked";
      readonly issuerKeyId: string;
      readonly authority: string;
      readonly serialNumber: string;
      readonly certificate: Uint8Array;
    }
  | { readonly kind: "unknown" };

export interface IssuedCertificate {
  readonly serialNumber: string;
  readonly issuerKeyId: string;
  readonly profileId: string;
  readonly certificate: Uint8Array;
  readonly grant: Grant;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly revokedAt: number | undefined;
  readonly revocationReason: RevocationReason | undefined;
}

export interface StoredPendingRequest {
  readonly frontDoor: FrontDoor;
  readonly pendingId: number;
  readonly profileId: string;
  readonly transactionId: string;
  readonly certificationRequest: Uint8Array;
  readonly grant: Grant;
  readonly subject: string;
  readonly renewsSerialNumber: string | undefined;
  readonly requestedAt: number;
}

/** Refusals (a used challenge, a revoked certificate, a full window) are thrown as RefusalError. */
export interface Ledger {
  /** Where this request stands, or undefined if it was never accepted. */
  standingOf(key: RequestKey): Promise<Standing | undefined>;
  /** For a poll, which does not carry the request: found by who holds the key. */
  standingOfKey(
    of: Pick<RequestKey, "profileId" | "transactionId"> & { readonly requesterKeyHash: Uint8Array },
  ): Promise<Standing | undefined>;
  recordIntent(intent: Intent): Promise<IntentOutcome>;
  recordPending(request: PendingRequest): Promise<Standing>;
  /** Returns the certificate that is stored in the end: the first one, if two signings raced. */
  recordIssued(issued: IssuedRecord): Promise<Uint8Array>;
  /** Takes the right to ask a remote authority until `until`, so that two do not ask for one intent at once. */
  beginAsking(of: {
    readonly serialNumber: string;
    readonly at: number;
    readonly until: number;
  }): Promise<AskOutcome>;
  /** Gives that right back; keeps what the authority called the order. */
  endAsking(of: {
    readonly serialNumber: string;
    readonly reference: string | undefined;
  }): Promise<void>;
  /** Ends an intent that a remote authority will not fulfil; the same request and its challenge are free again. */
  /** Where a certificate was made all the same, its revocation is ordered in the same transaction. */
  recordRefused(refused: RefusedRecord): Promise<void>;
  recordFailure(failure: FailureRecord): Promise<void>;
  findPending(pendingId: number): Promise<StoredPendingRequest | undefined>;
  rejectPending(of: {
    readonly pendingId: number;
    readonly actor: string;
    readonly at: number;
  }): Promise<boolean>;
  /** With this serial number, of any issuer: two remote authorities may have used the same one. */
  findCertificates(serialNumber: string): Promise<readonly IssuedCertificate[]>;
  revoke(revocation: Revocation): Promise<RevocationOutcome>;
  /** With `intendedBefore` (ms) those alone that are older: nobody works on them any more. */
  unfinishedIntents(intendedBefore?: number): Promise<readonly UnfinishedIntent[]>;
}
