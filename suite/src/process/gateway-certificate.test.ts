import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { expect, test } from "vitest";
import { makeGatewayCertificate } from "./gateway-certificate.ts";

const NOW = Date.UTC(2026, 0, 1);

test("the certificate is for the given names and is signed by its authority", async () => {
  const made = await makeGatewayCertificate(
    [
      { type: "dns", value: "localhost" },
      { type: "ip", value: "127.0.0.1" },
    ],
    NOW,
  );
  const certificate = new X509Certificate(made.certificate);
  const authority = new X509Certificate(made.authority);
  expect(certificate.verify(authority.publicKey)).toBe(true);
  expect(certificate.checkIssued(authority)).toBe(true);
  expect(certificate.checkHost("localhost")).toBe("localhost");
  expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1");
  expect(certificate.ca).toBe(false);
  expect(Date.parse(certificate.validFrom)).toBeLessThan(NOW);
  expect(() => createSecureContext({ cert: made.certificate, key: made.key })).not.toThrow();
});
