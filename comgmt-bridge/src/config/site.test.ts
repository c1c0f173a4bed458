import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseIn } from "@isthmus/shared/kernel/configuration-keys";
import { testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { derToPem } from "@isthmus/shared/x509/pem";
import { expect, test } from "vitest";
import { site } from "./site.ts";

const GOOD = { url: "https://sms.corp.test", siteCode: "CM1", tokenFile: "token" };
const CA = derToPem((await testCertificate()).certificate.der, "CERTIFICATE");
const PIN = `sha256/${"A".repeat(43)}=`;

/** What the schema says of a change to a good site, in a folder that has the files. */
function parsed(change: object) {
  using folder = temporaryFolder();
  for (const name of ["token", "keytab", "ca.pem"]) {
    writeFileSync(join(folder.path, name), name === "ca.pem" ? CA : "x", { mode: 0o600 });
  }
  return parseIn(folder.path, site, { ...GOOD, ...change });
}

test("a site needs an address, a code and a way to show who we are; the limits have defaults", () => {
  expect(parsed({}).data).toMatchObject({
    ...{ url: GOOD.url, siteCode: "CM1" },
    limits: {
      ...{ maxInFlight: 4, requestsPerSecond: 50, connectTimeoutMs: 5_000, retries: 2 },
      ...{ firstByteTimeoutMs: 30_000, timeoutMs: 120_000, maxAnswerBytes: 67_108_864 },
      ...{ pageRows: 2_000, breakerFailures: 5, breakerOpenMs: 15_000 },
    },
  });
});

test.each([
  { url: "https://sms.corp.test:8443", caFile: "ca.pem", pin: PIN },
  { tokenFile: undefined, kerberos: { principal: "isthmus@CORP.TEST", keytabFile: "keytab" } },
  { limits: { maxInFlight: 2, requestsPerSecond: 200, timeoutMs: 600_000 } },
])("%j is taken", (change) => {
  expect(parsed(change).success).toBe(true);
});

test.each([
  { url: "http://sms.corp.test" },
  { url: "https://sms.corp.test/AdminService" },
  { url: "https://user:secret@sms.corp.test" },
  { url: "https://sms.corp.test/?a" },
  { siteCode: "CM" },
  { siteCode: "cm1" },
  { tokenFile: undefined },
  { tokenFile: "missing" },
  { kerberos: { principal: "isthmus@CORP.TEST", keytabFile: "keytab" } },
  { tokenFile: undefined, kerberos: { principal: "isthmus", keytabFile: "keytab" } },
  ...["https://10.0.0.1", "https://[fd00::1]:8443"].map((url) => ({
    ...{ url, tokenFile: undefined },
    kerberos: { principal: "isthmus@CORP.TEST", keytabFile: "keytab" },
  })),
  { pin: "sha256/AAAA" },
  { pin: "A".repeat(44) },
  { limits: { maxInFlight: 1 } },
  { limits: { maxInFlight: 65 } },
  { limits: { requestsPerSecond: 201 } },
  { limits: { maxAnswerBytes: 268_435_457 } },
  { limits: { retries: 6 } },
  { another: 1 },
])("%j is refused", (change) => {
  expect(parsed(change).success).toBe(false);
});
