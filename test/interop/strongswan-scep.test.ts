import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEMO } from "@isthmus/suite/configurations";
import { challengeStandalone } from "@isthmus/suite/standalone";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type StandaloneSuite, startStandaloneSuite } from "./standalone-suite.ts";
import { fetchAuthorities, strongSwan } from "./strongswan.ts";

let running: StandaloneSuite;
beforeAll(async () => {
  running = await startStandaloneSuite();
});
afterAll(() => running?.[Symbol.asyncDispose]());

test("strongSwan's pki enrols with a signed challenge and renews with a new key", async (context) => {
  const pki = strongSwan(context);
  const file = (name: string) => join(running.folder, name);
  const url = `${running.scepUrl}/${DEMO.profileId}`;
  const authorities = await fetchAuthorities(pki, url, running.folder);
  const challenge = await challengeStandalone(running.suite);
  const common = ["--scep", "--url", url, "--dn", `CN=${DEMO.deviceId}`, ...authorities];

  writeFileSync(file("key.der"), await pki("--gen", "--type", "rsa", "--size", "2048"));
  const first = await pki(...common, "--in", file("key.der"), "--password", challenge);
  writeFileSync(file("first.der"), first);

  writeFileSync(file("new-key.der"), await pki("--gen", "--type", "rsa", "--size", "2048"));
  const old = ["--cert", file("first.der"), "--key", file("key.der")];
  const second = await pki(...common, "--in", file("new-key.der"), ...old);

  const issuing = new X509Certificate(
    readFileSync(join(running.suite.layout.ca.folder, "issuing.pem")),
  );
  const [enrolled, renewed] = [new X509Certificate(first), new X509Certificate(second)];
  for (const certificate of [enrolled, renewed]) {
    expect(certificate.verify(issuing.publicKey)).toBe(true);
    expect(certificate.subject).toBe(`CN=${DEMO.deviceId}`);
    expect(certificate.subjectAltName).toContain(`URI:urn:isthmus:device:${DEMO.deviceId}`);
  }
  expect(renewed.serialNumber).not.toBe(enrolled.serialNumber);
  expect(renewed.publicKey.equals(enrolled.publicKey)).toBe(false);
});

test("strongSwan's pki gets no certificate for a challenge that is not ours", async (context) => {
  const pki = strongSwan(context);
  const url = `${running.scepUrl}/${DEMO.profileId}`;
  const authorities = await fetchAuthorities(pki, url, running.folder);
  const key = join(running.folder, "refused-key.der");
  writeFileSync(key, await pki("--gen", "--type", "rsa", "--size", "2048"));
  const words = ["--scep", "--url", url, "--dn", `CN=${DEMO.deviceId}`, ...authorities];
  await expect(pki(...words, "--in", key, "--password", "guess")).rejects.toThrow(/fail/i);
});
