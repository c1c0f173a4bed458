import type { RevocationReason } from "@isthmus/shared/x509/extensions";

export interface RevokedCertificate {
  readonly serialNumber: string;
  readonly revokedAt: number;
  readonly reason: RevocationReason;
}

/** A signed list. Times are ms. */
export interface PublishedList {
  readonly issuerKeyId: string;
  /** Only grows, also past a restored backup: it is at least the time in seconds. */
  readonly number: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly der: Uint8Array;
}

/** What a list needs of the store. */
export interface RevocationLedger {
  /** Takes the next number and reads what is revoked, in one transaction: intent before signing. */
  beginList(of: {
    readonly issuerKeyId: string;
    readonly at: number;
    /** Certificates that expired before this are left out. */
    readonly expiredBefore: number;
  }): Promise<{ readonly number: number; readonly revoked: readonly RevokedCertificate[] }>;
  storeList(list: PublishedList): Promise<void>;
  /** The newest; with `after` only if its number is above that. */
  currentList(issuerKeyId: string, after?: number): Promise<PublishedList | undefined>;
  /** `unknown` also for what another issuer signed. */
  statusOf(of: {
    readonly issuerKeyId: string;
    readonly serialNumber: string;
  }): Promise<CertificateStatus>;
}

export type CertificateStatus =
  | { readonly kind: "good" | "unknown" }
  | {
      readonly kind: "revoked";
      readonly revokedAt: number;
      readonly reason: RevocationReason;
    };
