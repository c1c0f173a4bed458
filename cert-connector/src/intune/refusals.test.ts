import { describe, expect, test } from "vitest";
import { intuneRefusal, isVague, REFUSAL_CODES } from "./refusals.ts";

/** The published enum (microsoft/Intune-Resource-Access, ErrorCode) without Success. */
const PUBLISHED = [
  "Unknown",
  "CertificateRequestDecodingFailed",
  "ChallengePasswordMissing",
  "ChallengeDeserializationError",
  "ChallengeDecryptionError",
  "ChallengeDecodingError",
  "ChallengeInvalidTimestamp",
  "ChallengeExpired",
  "SubjectNameMissing",
  "SubjectNameMismatch",
  "SubjectAltNameMissing",
  "SubjectAltNameMismatch",
  "KeyUsageMismatch",
  "KeyLengthMismatch",
  "EnhancedKeyUsageMissing",
  "EnhancedKeyUsageMismatch",
  "AadKeyIdentifierListMissing",
  "RegisteredKeyMismatch",
  "SigningCertThumbprintMismatch",
  "ScepProfileNoLongerTargetedToTheClient",
  "SignatureValidationFailed",
  "BadCertificateRequestIdInChallenge",
  "BadDeviceIdInChallenge",
  "BadUserIdInChallenge",
];

test("every published code has a sentence, and no other", () => {
  expect(REFUSAL_CODES).toEqual(PUBLISHED);
});

describe("a refusal", () => {
  test.each(PUBLISHED)("%s keeps its code and says what it means", (code) => {
    const refusal = intuneRefusal(code);
    expect(refusal.rule).toBe(`intune.${code}`);
    expect(refusal.code).toMatch(/^intune-[a-z]+(-[a-z]+)*$/);
    expect(refusal.message).toMatch(new RegExp(`^[A-Z].{20,}\\(${code}\\)$`));
  });

  test("of a code that was not published is told without what else the answer holds", () => {
    const refusal = intuneRefusal('New<b> "Code" \n');
    expect(refusal.code).toBe("intune-not-published");
    expect(refusal.message).toMatch(/\(NewbCode\)$/);
  });

  test.each(["constructor", "__proto__"])("%s is no published code", (code) => {
    expect(intuneRefusal(code).rule).toBe("intune.NotPublished");
  });
});

test.each([
  ["Unknown", true],
  ["SomethingNew", true],
  ["ChallengeExpired", false],
])("%s may pass by itself: %s", (code, expected) => {
  expect(isVague(code)).toBe(expected);
});
