import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEMO } from "@isthmus/suite/configurations";
import { challengeStandalone } from "@isthmus/suite/standalone";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { missing, peer } from "../peers.ts";
import { findCurlPlugin } from "../setup/strongswan-plugin.ts";
import { runPeer } from "./run-peer.ts";
import { type StandaloneSuite, startStandaloneSuite } from "./standalone-suite.ts";

let running: StandaloneSuite;
beforeAll(async () => {
  running = await startStandaloneSuite();
});
afterAll(() => running?.[Symbol.asyncDispose]());

test("strongSwan's pki enrols with a signed challenge and renews with a new key", async (context) => {
  const pki = strongSwan(context);
  const file = (name: string) => join(running.folder, name);
  const url = `${running.scepUrl}/${DEMO.profileId}`;
  const authorities = await fetchAuthorities(pki, url);
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
  const authorities = await fetchAuthorities(pki, url);
  const key = join(running.folder, "refused-key.der");
  writeFileSync(key, await pki("--gen", "--type", "rsa", "--size", "2048"));
  const words = ["--scep", "--url", url, "--dn", `CN=${DEMO.deviceId}`, ...authorities];
  await expect(pki(...words, "--in", key, "--password", "guess")).rejects.toThrow(/fail/i);
});

type Pki = (...words: string[]) => Promise<Buffer>;

/** strongSwan's pki with its HTTP plugin; what it prints on stdout. */
function strongSwan(context: TestContext): Pki {
  const path = peer("pki", context);
  const plugin = findCurlPlugin() ?? missing("strongSwan's curl plugin", context);
  return async (...words) => (await runPeer(path, words, { LD_PRELOAD: plugin })).stdout;
}

/** Asks for the authorities' certificates; returns the options that name their files. */
async function fetchAuthorities(pki: Pki, url: string): Promise<string[]> {
  const folder = mkdtempSync(join(running.folder, "authorities-"));
  const [ca, ra] = [join(folder, "ca.der"), join(folder, "ra.der")];
  await pki("--scepca", "--url", url, "--caout", ca, "--raout", ra);
  const written = readdirSync(folder).filter((name) => name.startsWith("ca"));
  const authorities = written.flatMap((name) => ["--cacert", join(folder, name)]);
  return ["--cacert-enc", ra, "--cacert-sig", ra, ...authorities];
}
