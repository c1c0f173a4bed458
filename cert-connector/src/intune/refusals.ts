import { RefusalError } from "@isthmus/shared/errors";

/** What Intune's codes mean, in a sentence for an administrator (microsoft/Intune-Resource-Access, ErrorCode). */
const MEANINGS: Readonly<Record<string, string>> = {
  Unknown: "Intune gives no reason; try again, and ask Microsoft's support with the transaction id",
  CertificateRequestDecodingFailed:
    "Intune could not read the certification request; the device's SCEP client may be faulty",
  ChallengePasswordMissing:
    "The request carries no challenge: the device was not configured by an Intune SCEP profile",
  ChallengeDeserializationError:
    "The challenge is none of Intune's: the device was configured by hand or by another system",
  ChallengeDecryptionError:
    "The challenge was not made for this tenant: check tenantId against the tenant that manages the device",
  ChallengeDecodingError:
    "The challenge arrived damaged: look for a proxy or load balancer that rewrites URLs",
  ChallengeInvalidTimestamp:
    "The challenge's time is not valid; synchronise the device with Intune",
  ChallengeExpired:
    "The challenge is older than 60 minutes: synchronise the device with Intune to get a new one",
  SubjectNameMissing: "The request has no subject: set the subject name format in the SCEP profile",
  SubjectNameMismatch:
    "The request's subject is not the one of the SCEP profile; was the profile changed meanwhile? Synchronise the device",
  SubjectAltNameMissing:
    "The request lacks a subject alternative name of the SCEP profile; was the profile changed meanwhile?",
  SubjectAltNameMismatch:
    "The request's subject alternative names are not those of the SCEP profile; was the profile changed meanwhile?",
  KeyUsageMismatch: "The request's key usage is not the one of the SCEP profile",
  KeyLengthMismatch: "The key of the request is shorter than the SCEP profile asks for",
  EnhancedKeyUsageMissing: "The request lacks an extended key usage of the SCEP profile",
  EnhancedKeyUsageMismatch: "The request's extended key usage is not the one of the SCEP profile",
  AadKeyIdentifierListMissing: "Intune knows no key of the device: is it registered in Entra ID?",
  RegisteredKeyMismatch:
    "The request is not made with the key that the device registered; enrol the device again",
  SigningCertThumbprintMismatch:
    "The request is signed with another certificate than the one Intune expects",
  ScepProfileNoLongerTargetedToTheClient:
    "The SCEP profile is no longer assigned to this device or user: check the assignment",
  SignatureValidationFailed:
    "The signature of the request or of the challenge is not good: possibly somebody changed it",
  BadCertificateRequestIdInChallenge: "The challenge belongs to another certificate request",
  BadDeviceIdInChallenge: "The challenge was made for another device",
  BadUserIdInChallenge: "The challenge was made for another user",
};
const NOT_KNOWN = "Intune refused with a code that was not published when this was written";

/**
 * A refusal by Intune as one of ours: code `intune-` and Intune's in kebab case, rule `intune.<Code>`. What Intune says
 * in words stays out: it may hold names of users, and the device is told this message.
 */
export function intuneRefusal(code: string): RefusalError {
  const known = Object.hasOwn(MEANINGS, code);
  const name = known ? code : "NotPublished";
  const text = `${known ? MEANINGS[code] : NOT_KNOWN} (${code.replace(/[^A-Za-z0-9]/g, "").slice(0, 64)})`;
  return new RefusalError(`intune-${kebab(name)}`, `intune.${name}`, text);
}

/** Whether another attempt may end otherwise: no reason was given, or one that nobody knows. */
export function isVague(code: string): boolean {
  return code === "Unknown" || !Object.hasOwn(MEANINGS, code);
}

/** Every published code but Success. */
export const REFUSAL_CODES: readonly string[] = Object.keys(MEANINGS);

function kebab(code: string): string {
  return code.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase();
}
