import { RefusalError } from "@isthmus/shared/errors";
import { type DistinguishedName, encodeName } from "@isthmus/shared/x509/name";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { DEVICE_URI_PREFIX, type Grant, isSidUri } from "./grant.ts";
import type { AltName, Profile } from "./profile.ts";
import { fillTemplate } from "./template.ts";

/** What a device id may hold so that its URI reads the same everywhere: the unreserved characters of RFC 3986, and ':'. */
const DEVICE_ID = /^[A-Za-z0-9._~:-]{1,128}$/;

/** The subject: the challenge's, or the profile's template with its variables. Throws RefusalError, `x509-name-text`. */
export function plannedSubject(profile: Profile, grant: Grant): DistinguishedName {
  if (profile.subject !== "fromChallenge") return filled(profile.subject.template, grant);
  if (grant.subject === undefined) {
    throw new RefusalError(
      "subject-missing",
      "profile.subject",
      "The profile takes the subject from the challenge, which has none",
    );
  }
  return parseNameText(grant.subject);
}

/** Parsed before it is filled, so that `,` `+` or `=` in a value stay part of the value. */
function filled(template: string, grant: Grant): DistinguishedName {
  const { attributes } = parseNameText(template);
  return encodeName(
    attributes.map((relative) =>
      relative.map(({ type, value }) => ({ type, value: fillTemplate(value, grant) })),
    ),
  );
}

/**
 * The alternative names: the device id and user principal name that the challenge proves, its further names as far as
 * the profile takes them, and the profile's own. Names from the certification request never come in here.
 */
export function plannedNames(profile: Profile, grant: Grant): readonly AltName[] {
  const proven: AltName[] = [];
  if (grant.deviceId !== undefined) proven.push(deviceName(grant.deviceId));
  if (grant.userPrincipalName !== undefined) {
    proven.push({ type: "upn", value: grant.userPrincipalName });
  }
  const granted = grant.subjectAltNames.filter(({ type }) =>
    profile.challengeSubjectAltNames.includes(type),
  );
  const own = profile.subjectAltNames.map(({ type, template }) => {
    refuseSidFromRequest(template);
    return { type, value: fillTemplate(template, grant) };
  });
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

/** Active Directory maps a SID to an account: taken from a request it would let any device be an administrator. */
function refuseSidFromRequest(template: string): void {
  if (!isSidUri(template) || !/requestedCommonName/.test(template)) return;
  throw new RefusalError(
    "sid-from-request",
    "certificate.sid",
    "A security identifier is never taken from a certification request",
  );
}

function withoutRepeats(names: readonly AltName[]): readonly AltName[] {
  const seen = new Set<string>();
  return names.filter(({ type, value }) => {
    const key = `${type}:${value}`;
    return !seen.has(key) && seen.add(key);
  });
}
