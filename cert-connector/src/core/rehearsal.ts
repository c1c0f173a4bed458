import type { Random } from "@isthmus/shared/random";
import type { CertificationRequest } from "@isthmus/shared/x509/certification-request";
import { serialNumberFrom } from "@isthmus/shared/x509/issue";
import { firstValue } from "@isthmus/shared/x509/name";
import { formatName } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { Authorities } from "./authorities.ts";
import { planCertificate } from "./certificate-plan.ts";
import type { Grant } from "./grant.ts";
import { lintTbs } from "./lint.ts";
import type { IssuanceGuard } from "./ports.ts";
import type { AltName, Profile, PublicUrls } from "./profile.ts";

const SERIAL_NUMBER_OCTETS = 20;

export interface RehearsalParts {
  readonly authorities: Authorities;
  readonly guard: IssuanceGuard;
  readonly publicUrls: () => PublicUrls;
  readonly random: Random;
}

/**
 * Everything that could refuse a request from its grant to the signature, and nothing of it stays: no intent, no challenge
 * used up, no rate. Throws what an enrolment would.
 */
export function rehearse(
  parts: RehearsalParts,
  of: {
    readonly profile: Profile;
    readonly certificationRequest: CertificationRequest;
    readonly now: number;
  },
): void {
  const { authorities, guard, random } = parts;
  const { profile, certificationRequest, now } = of;
  const issuer = authorities.choose(profile.ca).issuer();
  const publicUrls = parts.publicUrls();
  const plan = planCertificate({
    profile,
    grant: grantAsAsked(certificationRequest, profile),
    publicKeyInfo: certificationRequest.publicKeyInfo,
    issuer,
    publicUrls,
    serialNumber: serialNumberFrom(random.bytes(SERIAL_NUMBER_OCTETS)),
    now,
  });
  guard.judgePlan(plan, profile);
  lintTbs(plan.tbs, { issuer, profile, publicUrls, now });
}

/** As if the challenge, which only its maker can judge, allowed all that the request asks for. */
function grantAsAsked({ subject, requested }: CertificationRequest, { challenge }: Profile): Grant {
  const subjectAltNames = requested.subjectAltNames.flatMap((name): AltName[] =>
    name.type === "uri" || name.type === "dns" || name.type === "email" || name.type === "upn"
      ? [{ type: name.type, value: name.value }]
      : [],
  );
  const commonName = firstValue(subject, OID.commonName);
  return {
    deviceId: commonName?.replaceAll(/[^A-Za-z0-9._~:-]/g, "-").slice(0, 128),
    userPrincipalName: subjectAltNames.find(({ type }) => type === "upn")?.value,
    ...(subject.attributes.length > 0 && { subject: formatName(subject) }),
    subjectAltNames,
    requestedCommonName: commonName,
    ...(challenge.kind === "intune" && { notify: { kind: "intune", name: challenge.tenant } }),
  };
}
