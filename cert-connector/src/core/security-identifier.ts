import { RefusalError } from "@isthmus/shared/errors";
import type { DirectoryEntry } from "./directory-entry.ts";
import { type Grant, isSidUri, SID_URI_PREFIX } from "./grant.ts";
import type { AltName, Profile } from "./profile.ts";
import type { VariableSources } from "./variables.ts";

/**
 * Strong mapping: Active Directory takes a certificate for the account whose SID is in it. One taken from a request would
 * let any device be an administrator, so it comes from the directory alone, for the account that the challenge proves.
 */

/** [MS-DTYP] section 2.4.2.1, as far as accounts go. */
const SECURITY_IDENTIFIER = /^S-1-\d{1,14}(-\d{1,10}){1,15}$/;

/** The SID that a profile puts into its certificates, or undefined. Throws RefusalError `sid-missing`. */
export function plannedSecurityIdentifier(
  profile: Profile,
  entry: DirectoryEntry | undefined,
): string | undefined {
  return profile.securityIdentifier === "none" ? undefined : sidOf(entry);
}

/** The alternative name that carries a SID (KB5014754). Throws RefusalError `sid-missing`. */
export function plannedSidUri(entry: DirectoryEntry | undefined): string {
  return SID_URI_PREFIX + sidOf(entry);
}

function sidOf(entry: DirectoryEntry | undefined): string {
  const sid = entry?.securityIdentifier;
  if (sid !== undefined && SECURITY_IDENTIFIER.test(sid)) return sid;
  throw new RefusalError(
    "sid-missing",
    "profile.securityIdentifier",
    "The directory has no account with a security identifier for this challenge",
  );
}

/**
 * A name that carries a SID has to be the one of the directory. Only Intune may bring one by itself, as it has compared
 * the request with its own profile; where a directory is configured it is compared with that too. Throws RefusalError
 * `sid-unproven`, `sid-mismatch`.
 */
export function refuseUnprovenSid(
  { type, value }: AltName,
  from: "challenge" | "template",
  profile: Profile,
  { grant, entry }: VariableSources,
): void {
  if (type !== "uri" || !isSidUri(value)) return;
  const isIntunes = from === "challenge" && isValidatedByIntune(grant, profile);
  if (from === "challenge" && !isIntunes) {
    throw refusal(
      "sid-unproven",
      "A security identifier is never taken from a request or a challenge",
    );
  }
  if (isIntunes && profile.directory === undefined) return;
  if (value.slice(SID_URI_PREFIX.length) === entry?.securityIdentifier) return;
  throw refusal(
    "sid-mismatch",
    "A security identifier is not the one of the account in the directory",
  );
}

/** By the grant's own word too: the profile may be another by now than when the challenge was verified. */
function isValidatedByIntune({ notify }: Grant, { challenge }: Profile): boolean {
  return (
    challenge.kind === "intune" && notify?.kind === "intune" && notify.name === challenge.tenant
  );
}

function refusal(code: string, message: string): RefusalError {
  return new RefusalError(code, "certificate.sid", message);
}
