import { X509Certificate } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DEMO } from "@isthmus/suite/configurations";
import { challengeStandalone } from "@isthmus/suite/standalone";
import { afterAll, beforeAll, expect, test } from "vitest";
import { peer } from "../peers.ts";
import { runPeer } from "./run-peer.ts";
import { LEGACY_PROFILE, type StandaloneSuite, startStandaloneSuite } from "./standalone-suite.ts";

/** What scepclient puts into every request unless told otherwise. */
const SUBJECT = `CN=${DEMO.deviceId},OU=MDM,O=scep-client,C=US`;

let running: StandaloneSuite;
beforeAll(async () => {
  running = await startStandaloneSuite();
});
afterAll(() => running?.[Symbol.asyncDispose]());

test("Debian's scepclient, with SHA-1 and single DES, enrols and renews under a legacy profile", async (context) => {
  const scepclient = peer("scepclient", context);
  const file = join(running.folder, "client.pem");
  const words = wordsFor(LEGACY_PROFILE.id, file);

  await runPeer(scepclient, [...words, "-challenge", await challengeFor(LEGACY_PROFILE.id)]);
  const enrolled = new X509Certificate(readFileSync(file));
  expect(enrolled.subjectAltName).toContain(`URI:urn:isthmus:device:${DEMO.deviceId}`);

  // With its certificate in place it sends a RenewalReq signed by it. It keeps key and request: without a new request, and
  // one that differs, this would be a retry of the first and get the first certificate again.
  rmSync(join(running.folder, "csr.pem"));
  await runPeer(scepclient, words);
  const renewed = new X509Certificate(readFileSync(file));
  expect(renewed.serialNumber).not.toBe(enrolled.serialNumber);
  expect(renewed.subject).toBe(enrolled.subject);
  const log = readFileSync(running.suite.layout.of("cert-connector").logFile, "utf8");
  expect(log).toMatch(/"messageType":"RenewalReq".*"status":"SUCCESS"/);
});

test("without the legacy switch SHA-1 and single DES are refused", async (context) => {
  const scepclient = peer("scepclient", context);
  const challenge = await challengeFor(DEMO.profileId);
  const words = wordsFor(DEMO.profileId, join(running.folder, "refused.pem"));
  await expect(runPeer(scepclient, [...words, "-challenge", challenge])).rejects.toThrow(
    /badAlg|failInfo|FAILURE|fail/,
  );
});

function challengeFor(profileId: string): Promise<string> {
  return challengeStandalone(running.suite, {
    profileId,
    deviceId: DEMO.deviceId,
    subject: SUBJECT,
  });
}

function wordsFor(profileId: string, certificate: string): string[] {
  return [
    ...["-server-url", `${running.scepUrl}/${profileId}`, "-ca-fingerprint", fingerprintOfRa()],
    ...["-cn", DEMO.deviceId, "-private-key", join(running.folder, `${profileId}-key.pem`)],
    ...["-certificate", certificate],
  ];
}

/** Which of several certificates scepclient encrypts to: SHA-256 of the DER, hex. */
function fingerprintOfRa(): string {
  const file = join(running.suite.layout.ca.folder, "ra.pem");
  return new X509Certificate(readFileSync(file)).fingerprint256.replaceAll(":", "").toLowerCase();
}
