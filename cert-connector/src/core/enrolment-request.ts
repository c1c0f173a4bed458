import { hash } from "node:crypto";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { CertificationRequest } from "@isthmus/shared/x509/certification-request";
import type { StepTrace } from "./enrolment-trace.ts";
import type { Grant } from "./grant.ts";
import type { FrontDoor, RequestKey } from "./ledger.ts";
import type { Profile } from "./profile.ts";

/**
 * A device's wish for a certificate, whichever front door it came through, one type per stage:
 *
 *     EnrolmentRequest    understood: the certification request's own signature is good
 *     GrantedEnrolment    the challenge or the old certificate was checked: who it may be
 *     CertificatePlan     decided in every byte (certificate-plan.ts), linted, and in the ledger as an intent
 */
export interface EnrolmentRequest {
  readonly frontDoor: FrontDoor;
  readonly transactionId: string;
  readonly profile: Profile;
  readonly certificationRequest: CertificationRequest;
  /** SubjectPublicKeyInfo of the key that signed the message, DER; in a first enrolment that of the request itself. */
  readonly requesterKeyInfo: Buffer;
  readonly proof: EnrolmentProof;
  /** Told of each step, where somebody looks. */
  readonly trace?: StepTrace;
}

/**
 * `renewal`: the message was signed with the key of this certificate; nothing more is known of it yet. `command`: a signed
 * order of the control plane that the local guardrails let through, or one of a person on this host.
 */
export type EnrolmentProof =
  | {
      readonly kind: "challenge";
      readonly challengePassword: string | undefined;
      /** Who signed the message, where it looks like a certificate of ours: proof enough if the challenge is refused. */
      readonly signer?: Certificate | undefined;
    }
  | { readonly kind: "renewal"; readonly certificate: Certificate }
  | { readonly kind: "command"; readonly grant: Grant };

export interface GrantedEnrolment {
  readonly request: EnrolmentRequest;
  readonly grant: Grant;
  readonly renewsSerialNumber: string | undefined;
}

/** What makes a repeated message the same request. */
export function requestKeyOf(request: EnrolmentRequest): RequestKey {
  return {
    profileId: request.profile.id,
    transactionId: request.transactionId,
    requestHash: hash("sha256", request.certificationRequest.der, "buffer"),
  };
}

/** What the device gets. */
export type EnrolmentOutcome =
  | { readonly kind: "issued"; readonly certificate: Buffer; readonly issuerKeyId: string }
  | { readonly kind: "pending" };
