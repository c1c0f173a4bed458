import { RefusalError } from "@isthmus/shared/errors";
import type { CertificatePlan } from "./certificate-plan.ts";
import { isSidUri, SID_URI_PREFIX } from "./grant.ts";
import { byteFault } from "./guarded-bytes.ts";
import type { IssuanceGuard } from "./ports.ts";
import type { AltName, AltNameType, Profile } from "./profile.ts";

/** The local guardrails on certificates; patterns are regular expressions that a whole value must match. */
export interface IssuanceRules {
  readonly profiles: readonly string[];
  readonly authorities: readonly string[];
  readonly subjects: readonly string[];
  readonly subjectAltNames: Readonly<Record<AltNameType, readonly string[]>>;
  readonly securityIdentifiers: readonly string[];
  readonly extendedKeyUsage: readonly string[];
  readonly maxValidityDays: number;
  readonly minRsaBits: number;
  readonly allowStaticChallenge: boolean;
}

/**
 * Holds a cloud, even a hostile one, to the local rules: profiles are judged when they are configured, and the names of
 * each certificate before it is intended.
 */
export function issuanceGuard(
  rules: IssuanceRules,
  window: IssuanceGuard["window"],
): IssuanceGuard {
  const profiles = whole(rules.profiles);
  const authorities = whole(rules.authorities);
  const subjects = whole(rules.subjects);
  const identifiers = whole(rules.securityIdentifiers);
  const names: Readonly<Record<AltNameType, readonly RegExp[]>> = {
    uri: whole(rules.subjectAltNames.uri),
    dns: whole(rules.subjectAltNames.dns),
    email: whole(rules.subjectAltNames.email),
    upn: whole(rules.subjectAltNames.upn),
  };

  function judgeSecurityIdentifier(identifier: string): void {
    if (!matches(identifiers, identifier)) throw refusal("securityIdentifiers", "a SID");
  }

  function judgeName({ type, value }: AltName): void {
    if (type === "uri" && isSidUri(value)) {
      judgeSecurityIdentifier(value.slice(SID_URI_PREFIX.length));
    } else if (!matches(names[type], value)) {
      throw refusal(`subjectAltNames.${type}`, `the ${type} name "${value}"`);
    }
  }

  function judgeSubject(text: string): void {
    if (!matches(subjects, text)) throw refusal("subjects", `the subject "${text}"`);
  }

  function judgeProfile(profile: Profile): void {
    const { id, ca } = profile;
    if (!matches(profiles, id)) throw refusal("profiles", `profile ${id}`);
    if (!matches(authorities, ca)) throw refusal("authorities", `profile ${id}: authority ${ca}`);
    judgeProfileRules(profile, rules);
  }

  const { extendedKeyUsage, maxValidityDays } = rules;
  const byteRules = {
    ...{ extendedKeyUsage, maxValidityDays },
    ...{ judgeSubject, judgeName, judgeSecurityIdentifier },
  };

  return {
    window,
    judgeProfile,
    judgePlan: (plan: CertificatePlan, profile) => {
      judgeProfile(profile);
      judgeSubject(plan.subjectText);
      for (const name of plan.subjectAltNames) judgeName(name);
      const { securityIdentifier: sid } = plan;
      if (sid !== undefined) judgeSecurityIdentifier(sid);
    },
    judgeBytes: ({ tbs, issuerKeyId }, issuer) => {
      // Of another issuer nothing is signed here, and its authority says so.
      if (issuerKeyId !== issuer.keyId) return;
      const fault = byteFault(tbs, issuer, byteRules);
      if (fault !== undefined) throw refusal("bytes", fault);
    },
  };
}

function judgeProfileRules(profile: Profile, rules: IssuanceRules): void {
  const { id } = profile;
  if (profile.validityDays > rules.maxValidityDays) {
    throw refusal("maxValidityDays", `profile ${id}: ${profile.validityDays} days`);
  }
  const usage = profile.extendedKeyUsage.find((name) => !rules.extendedKeyUsage.includes(name));
  if (usage !== undefined) throw refusal("extendedKeyUsage", `profile ${id}: ${usage}`);
  if (profile.keyFloor.rsaBits < rules.minRsaBits) {
    throw refusal("minRsaBits", `profile ${id}: RSA keys of ${profile.keyFloor.rsaBits} bits`);
  }
  if (profile.challenge.kind === "static" && !rules.allowStaticChallenge) {
    throw refusal("allowStaticChallenge", `profile ${id}: a static challenge`);
  }
}

function whole(patterns: readonly string[]): readonly RegExp[] {
  return patterns.map((pattern) => new RegExp(`^(?:${pattern})$`, "u"));
}

function matches(patterns: readonly RegExp[], value: string): boolean {
  return patterns.some((pattern) => pattern.test(value));
}

function refusal(rule: string, what: string): RefusalError {
  return new RefusalError(
    "guardrail",
    `certificates.${rule}`,
    `The local guardrails do not allow ${what}`,
  );
}
