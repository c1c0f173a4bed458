import { RefusalError } from "@isthmus/shared/errors";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { EnrolmentRequest } from "./enrolment-request.ts";
import type { Grant } from "./grant.ts";
import type { IssuedCertificate } from "./ledger.ts";
import type { Profile } from "./profile.ts";

const DAY_MS = 86_400_000;
/** Our own limit: without a new challenge a device is rescued so often, however many renewals lie in between. */
const MAX_RESCUES = 3;

export interface RenewalRequest {
  /** The certificate whose key signed the request. */
  readonly shown: Certificate;
  /** What the ledger has under its serial number. */
  readonly candidates: readonly IssuedCertificate[];
  readonly profile: Profile;
  /** SubjectPublicKeyInfo that a certificate is asked for, DER. */
  readonly publicKeyInfo: Uint8Array;
  readonly now: number;
}

/**
 * The grant of a renewal: that of the certificate which signed the request. It has to be one of ours byte for byte (the
 * ledger's, which says more than a chain could), of the same profile, not revoked, and near its end; past its end only
 * within the profile's days of rescue.
 */
export function renewalGrant(request: RenewalRequest): Grant {
  const { shown, profile, now } = request;
  const known = knownCertificate(request);
  refuseSameKey(request);
  const { challenge: _, ...identity } = known.grant;
  if (now > shown.notAfter) return rescueGrant(request, identity);
  if (now < shown.notBefore) {
    throw refusal("renewal-expired", "certificate.validity", "The certificate is not valid yet");
  }
  refuseTooEarly(shown, profile, now);
  return identity;
}

function knownCertificate({ shown, candidates, profile }: RenewalRequest): IssuedCertificate {
  const known = candidates.find(({ certificate }) => shown.der.equals(certificate));
  if (known === undefined) {
    throw refusal("renewal-unknown", "ledger", "The request is signed with no certificate of ours");
  }
  if (known.revokedAt !== undefined) {
    throw refusal("renewal-revoked", "ledger.revoked", "The certificate to renew was revoked");
  }
  if (known.profileId !== profile.id) {
    throw refusal(
      "renewal-profile",
      "profile.id",
      `The certificate to renew is of profile ${known.profileId}`,
    );
  }
  return known;
}

function refuseSameKey({ shown, profile, publicKeyInfo }: RenewalRequest): void {
  if (profile.renewalKey !== "new" || !shown.publicKeyInfo.equals(publicKeyInfo)) return;
  throw refusal(
    "renewal-same-key",
    "profile.renewalKey",
    "The profile wants a new key at each renewal, and this is the old one",
  );
}

/** Of a certificate that has expired. How often is kept in the grant, and so comes along with each renewal. */
function rescueGrant({ shown, profile, now }: RenewalRequest, identity: Grant): Grant {
  const { rescueDays = 0 } = profile;
  if (now > shown.notAfter + rescueDays * DAY_MS) {
    throw refusal(
      "renewal-expired",
      rescueDays === 0 ? "certificate.validity" : "profile.rescueDays",
      rescueDays === 0
        ? "The certificate to renew has expired"
        : `The certificate to renew expired over ${rescueDays} days ago`,
    );
  }
  const count = (identity.rescue?.count ?? 0) + 1;
  if (count > MAX_RESCUES) {
    throw refusal(
      "rescue-limit",
      "certificate.rescues",
      `The device was let in ${MAX_RESCUES} times after its certificate had expired; it has to enrol with a new challenge`,
    );
  }
  const { serialNumber: of, notBefore: issuedAt, notAfter: expiredAt } = shown;
  return { ...identity, rescue: { count, of, issuedAt, expiredAt } };
}

function refuseTooEarly(shown: Certificate, profile: Profile, now: number): void {
  const percentLeft = ((shown.notAfter - now) / (shown.notAfter - shown.notBefore)) * 100;
  if (percentLeft <= profile.renewalWindowPercent) return;
  throw refusal(
    "renewal-too-early",
    "profile.renewalWindowPercent",
    `${Math.floor(percentLeft)} percent of the validity are left, renewal opens at ${profile.renewalWindowPercent}`,
  );
}

function refusal(code: string, rule: string, message: string): RefusalError {
  return new RefusalError(code, rule, message);
}

/**
 * The same as a renewal, where a challenge was refused and the message is signed with what may be a certificate of ours:
 * certmonger puts its first challenge, used up long ago, into each request that renews.
 */
export function renewalInstead(
  request: EnrolmentRequest,
  error: unknown,
): EnrolmentRequest | undefined {
  const { proof, profile } = request;
  if (proof.kind !== "challenge" || proof.signer === undefined) return undefined;
  const isChallengeRefused = error instanceof RefusalError && error.code.startsWith("challenge-");
  if (!isChallengeRefused || isValidatedElsewhere(profile)) return undefined;
  return { ...request, proof: { kind: "renewal", certificate: proof.signer } };
}

/** Who validates each request of the profile would not know of a renewal that only the old certificate proves. */
export function isValidatedElsewhere({ challenge }: Profile): boolean {
  return challenge.kind === "intune" || challenge.kind === "webhook";
}
