import { RefusalError } from "@isthmus/shared/errors";
import { type DistinguishedName, encodeName } from "@isthmus/shared/x509/name";
import { parseNameText, parseRelativeNames } from "@isthmus/shared/x509/name-text";
import { DEVICE_URI_PREFIX, type Grant } from "./grant.ts";
import type { AltName, Profile } from "./profile.ts";
import { plannedSidUri, refuseUnprovenSid } from "./security-identifier.ts";
import { fillTemplate, isWholeName } from "./template.ts";
import { SECURITY_IDENTIFIER_VARIABLE, type VariableSources, variableNamed } from "./variables.ts";

/** What a device id may hold so that its URI reads the same everywhere: the unreserved characters of RFC 3986, and ':'. */
const DEVICE_ID = /^[A-Za-z0-9._~:-]{1,128}$/;

/** The subject: the challenge's, or the profile's template with its variables. Throws RefusalError, `x509-name-text`. */
export function plannedSubject(profile: Profile, sources: VariableSources): DistinguishedName {
  if (profile.subject !== "fromChallenge") return filled(profile.subject.template, sources);
  const { grant } = sources;
  if (grant.subject === undefined) {
    throw new RefusalError(
      "subject-missing",
      "profile.subject",
      "The profile takes the subject from the challenge, which has none",
    );
  }
  return parseNameText(grant.subject);
}

/**
 * Parsed before it is filled, so that `,` `+` or `=` in a value stay part of the value. Only a template that is nothing but
 * the name of a directory's entry is filled first: there the value is a name, and all of it.
 */
function filled(template: string, sources: VariableSources): DistinguishedName {
  if (isWholeName(template)) return parseNameText(fillTemplate(template, sources));
  return encodeName(
    parseRelativeNames(template).map((relative) =>
      relative.map(({ type, value }) => ({ type, value: fillTemplate(value, sources) })),
    ),
  );
}

/**
 * The alternative names: the device id and user principal name that the challenge proves, its further names as far as
 * the profile takes them, and the profile's own. Names from the certification request never come in here.
 */
export function plannedNames(profile: Profile, sources: VariableSources): readonly AltName[] {
  const { grant } = sources;
  const proven: AltName[] = [];
  if (grant.deviceId !== undefined) proven.push(deviceName(grant.deviceId));
  if (grant.userPrincipalName !== undefined) {
    proven.push({ type: "upn", value: grant.userPrincipalName });
  }
  const granted = grant.subjectAltNames.filter(({ type }) =>
    profile.challengeSubjectAltNames.includes(type),
  );
  const own = profile.subjectAltNames.map(({ type, template }) => {
    return { type, value: filledName(type, template, sources) };
  });
  for (const name of granted) refuseUnprovenSid(name, "challenge", profile, sources);
  for (const name of own) refuseUnprovenSid(name, "template", profile, sources);
  const names = withoutRepeats([...proven, ...granted, ...own]);
  for (const name of names) refuseForeignDevice(name, grant);
  return names;
}

function deviceName(deviceId: string): AltName {
  if (!DEVICE_ID.test(deviceId)) {
    throw new RefusalError(
      "device-id-invalid",
      "certificate.deviceId",
      "The device id holds other characters than letters, digits and . _ ~ : -",
    );
  }
  return { type: "uri", value: DEVICE_URI_PREFIX + deviceId };
}

/** Gateways trust the device URI: one that names another device than the challenge does would be an impersonation. */
function refuseForeignDevice({ type, value }: AltName, { deviceId }: Grant): void {
  const isDevice = type === "uri" && value.toLowerCase().startsWith(DEVICE_URI_PREFIX);
  if (!isDevice || value === DEVICE_URI_PREFIX + deviceId) return;
  throw new RefusalError(
    "device-id-mismatch",
    "certificate.deviceId",
    "A name in the certificate would stand for another device than the challenge",
  );
}

/** A URI that is nothing but the SID's variable is written in the form that Active Directory reads. */
function filledName(type: AltName["type"], template: string, sources: VariableSources): string {
  const [, name = ""] = /^\{\{([^{}]*)\}\}$/.exec(template.trim()) ?? [];
  const isSid = type === "uri" && variableNamed(name) === SECURITY_IDENTIFIER_VARIABLE;
  return isSid ? plannedSidUri(sources.entry) : fillTemplate(template, sources);
}

function withoutRepeats(names: readonly AltName[]): readonly AltName[] {
  const seen = new Set<string>();
  return names.filter(({ type, value }) => {
    const key = `${type}:${value}`;
    return !seen.has(key) && seen.add(key);
  });
}
