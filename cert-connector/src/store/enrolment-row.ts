import { RefusalError } from "@isthmus/shared/errors";
import type { Row } from "@isthmus/shared/store/transaction";
import type { RevocationReason } from "@isthmus/shared/x509/extensions";
import type { Grant } from "../core/grant.ts";
import type {
  FrontDoor,
  IssuedCertificate,
  Standing,
  StoredPendingRequest,
  UnfinishedIntent,
} from "../core/ledger.ts";

/** Reads rows of the table `enrolment` that this code wrote: their shapes are trusted. */

/**
 * Where a request stands; undefined for one whose certificate has expired, which makes it new again. Throws RefusalError
 * for one that was rejected, that nobody decided on in time, or whose certificate was revoked.
 */
export function standingOf(row: Row, at: number): Standing | undefined {
  switch (row["state"]) {
    case "pending":
      return standingOfPending(row, at);
    case "rejected":
      throw new RefusalError(
        "request-rejected",
        "profile.approval",
        "The request was rejected by a person",
      );
    case "intent":
      return { kind: "unfinished", intent: unfinishedIntent(row) };
    case "refused":
      return undefined;
    default:
      return standingOfIssued(row, at);
  }
}

/** Our own limit: a person who has not decided by then has decided. */
export const MAX_PENDING_MS = 30 * 86_400_000;

function standingOfPending(row: Row, at: number): Standing {
  if (at - (row["requested_at"] as number) <= MAX_PENDING_MS) {
    return { kind: "pending", pendingId: row["id"] as number };
  }
  throw new RefusalError(
    "request-expired",
    "profile.approval",
    "Nobody decided on the request within 30 days; the device has to enrol anew",
  );
}

function standingOfIssued(row: Row, at: number): Standing | undefined {
  if (row["revoked_at"] !== null) {
    throw new RefusalError(
      "certificate-revoked",
      "ledger.revoked",
      "The certificate of this very request was revoked; a new request needs a new key or transaction",
    );
  }
  if ((row["not_after"] as number) < at) return undefined;
  return {
    kind: "issued",
    certificate: row["certificate"] as Uint8Array,
    issuerKeyId: row["issuer_key_id"] as string,
    notificationId: (row["notification_id"] as number | null) ?? undefined,
  };
}

export function unfinishedIntent(row: Row): UnfinishedIntent {
  return {
    transactionId: row["transaction_id"] as string,
    authority: row["authority"] as string,
    issuerKeyId: row["issuer_key_id"] as string,
    serialNumber: row["serial_number"] as string,
    tbs: row["tbs"] as Uint8Array,
    certificationRequest: (row["certification_request"] as Uint8Array | null) ?? undefined,
    notificationId: (row["notification_id"] as number | null) ?? undefined,
  };
}

export function issuedCertificate(row: Row): IssuedCertificate {
  return {
    serialNumber: row["serial_number"] as string,
    issuerKeyId: row["issuer_key_id"] as string,
    profileId: row["profile_id"] as string,
    certificate: row["certificate"] as Uint8Array,
    grant: grantOf(row),
    notBefore: row["not_before"] as number,
    notAfter: row["not_after"] as number,
    revokedAt: (row["revoked_at"] as number | null) ?? undefined,
    revocationReason: (row["revocation_reason"] as RevocationReason | null) ?? undefined,
  };
}

export function storedPendingRequest(row: Row): StoredPendingRequest {
  return {
    frontDoor: row["front_door"] as FrontDoor,
    pendingId: row["id"] as number,
    profileId: row["profile_id"] as string,
    transactionId: row["transaction_id"] as string,
    certificationRequest: row["certification_request"] as Uint8Array,
    grant: grantOf(row),
    subject: row["subject"] as string,
    renewsSerialNumber: (row["renews_serial_number"] as string | null) ?? undefined,
    requestedAt: row["requested_at"] as number,
  };
}

export function grantOf(row: Row): Grant {
  return JSON.parse(row["grant_json"] as string) as Grant;
}
