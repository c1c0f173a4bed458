import { hash } from "node:crypto";
import { formatName } from "@isthmus/shared/x509/name-text";
import type { CertificatePlan } from "./certificate-plan.ts";
import type { EnrolmentRequest, GrantedEnrolment } from "./enrolment-request.ts";
import type { Grant } from "./grant.ts";
import type { Intent, RequestKey } from "./ledger.ts";
import { type PlannedNotification, plannedNotification } from "./notification.ts";
import type { CertificateAuthority } from "./ports.ts";
import { plannedPublication } from "./publication.ts";

export interface IntentParts extends Pick<Intent, "window" | "at"> {
  readonly key: RequestKey;
  readonly authority: CertificateAuthority;
  readonly plan: CertificatePlan;
  readonly pendingId: number | undefined;
}

/** What the ledger keeps before anything is signed. */
export function intentOf(
  { request, grant, renewsSerialNumber }: GrantedEnrolment,
  { key, authority, plan, pendingId, window, at }: IntentParts,
): Intent {
  const { profile, frontDoor, certificationRequest } = request;
  return {
    ...key,
    frontDoor,
    authority: authority.name,
    issuerKeyId: plan.issuer.keyId,
    issuer: formatName(plan.issuer.certificate.subject),
    serialNumber: plan.serialNumber,
    tbs: plan.tbs,
    certificationRequest: authority.kind === "remote" ? certificationRequest.der : undefined,
    subject: plan.subjectText,
    notBefore: plan.notBefore,
    notAfter: plan.notAfter,
    grant,
    requesterKeyHash: hash("sha256", request.requesterKeyInfo, "buffer"),
    renewsSerialNumber,
    pendingId,
    maxPerHour: profile.maxPerHour,
    window,
    notification: notificationOf(grant, key.transactionId, certificationRequest),
    publication: plannedPublication(profile),
    at,
  };
}

/** Whom the grant says to tell, if anybody. */
export function notificationOf(
  grant: Grant | undefined,
  transactionId: string,
  certificationRequest: EnrolmentRequest["certificationRequest"],
): PlannedNotification | undefined {
  return grant?.notify && plannedNotification(grant.notify, transactionId, certificationRequest);
}
