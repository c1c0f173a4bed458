import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import { expect, test } from "vitest";
import { failurePayload, successPayload } from "./notification.ts";

const planned = { transactionId: "t", certificateRequest: "MII=" };

test.each([
  ["certificates.subjects", 0xa0040002],
  ["lint", 0xa0040003],
  ["profile.keyFloor", 0xa0040004],
  ["certificate.sid", 0xa0040005],
  ["authority.step", 0xa0040006],
  ["something.else", 0xa0040001],
])("a refusal by %s has an HRESULT of its own", (rule, expected) => {
  const payload = failurePayload(new RefusalError("code", rule, "no"), planned);
  expect((payload?.hResult ?? 0) >>> 0).toBe(expected);
  expect(payload?.hResult).toBeLessThan(0);
});

test("a description is cut to what Intune takes", () => {
  const error = new RefusalError("guardrail", "certificates.subjects", "x".repeat(300));
  expect(failurePayload(error, planned)?.errorDescription).toHaveLength(255);
});

test.each([
  new ConnectorError("ca-unavailable", "later", { isRetryable: true }),
  new RefusalError("profile-rate-exceeded", "profile.maxPerHour", "later"),
  new RefusalError("challenge-used", "challenge.one-time", "another has it"),
  new Error("nobody foresaw this"),
])("%s is no failure to tell", (error) => {
  expect(failurePayload(error, planned)).toBeUndefined();
});

test("a success names the certificate as Windows does, and the authority by its common name", () => {
  const payload = successPayload({
    planned,
    sha1: "ab12",
    serialNumber: "0a",
    notAfter: "2027-01-01T00:00:00.000Z",
    issuer: "CN=Issuing CA,O=Contoso",
    authority: "embedded",
  });
  expect(payload).toMatchObject({
    certificateThumbprint: "AB12",
    certificateSerialNumber: "0A",
    issuingCertificateAuthority: "CN=Issuing CA,O=Contoso",
    certificateAuthority: "Issuing CA",
    caConfiguration: "embedded",
  });
});
