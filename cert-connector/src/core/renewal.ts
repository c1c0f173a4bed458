import { RefusalError } from "@isthmus/shared/errors";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { Grant } from "./grant.ts";
import type { IssuedCertificate } from "./ledger.ts";
import type { Profile } from "./profile.ts";

/**
 * The grant of a renewal: that of the certificate which signed the request. It has to be one of ours byte for byte (the
 * ledger's, which says more than a chain could), of the same profile, not revoked, not expired, and near its end.
 */
export function renewalGrant(
  shown: Certificate,
  candidates: readonly IssuedCertificate[],
  profile: Profile,
  now: number,
): Grant {
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
  if (now < shown.notBefore || now > shown.notAfter) {
    throw refusal(
      "renewal-expired",
      "certificate.validity",
      "The certificate to renew has expired",
    );
  }
  refuseTooEarly(shown, profile, now);
  const { challenge: _, ...identity } = known.grant;
  return identity;
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
