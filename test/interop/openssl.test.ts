import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEMO } from "@isthmus/suite/configurations";
import {
  type DeviceIdentity,
  enrol,
  identityToPem,
  newDeviceKey,
  renew,
} from "@isthmus/suite/device/scep-device";
import { runCommand } from "@isthmus/suite/process/child-service";
import { challengeStandalone } from "@isthmus/suite/standalone";
import { entryOf } from "@isthmus/suite/suite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { peer } from "../peers.ts";
import { runPeer } from "./run-peer.ts";
import { type StandaloneSuite, startStandaloneSuite } from "./standalone-suite.ts";

let running: StandaloneSuite;
beforeAll(async () => {
  running = await startStandaloneSuite();
});
afterAll(() => running?.[Symbol.asyncDispose]());

const ca = (name: string) => join(running.suite.layout.ca.folder, name);
const file = (name: string) => join(running.folder, name);

test("openssl verifies the authorities, enrolled and renewed certificates", async (context) => {
  const openssl = peer("openssl", context);
  const enrolled = await enrolNow();
  const renewed = await renew(await running.suite.scepServer(), enrolled);
  for (const name of ["issuing.pem", "root.pem"]) {
    const { text } = await runPeer(openssl, [
      "verify",
      "-x509_strict",
      "-CAfile",
      ca("root.pem"),
      ca(name),
    ]);
    expect(text).toContain(": OK");
  }
  for (const [name, identity] of Object.entries({ enrolled, renewed })) {
    writeIdentity(name, identity);
    const words = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", ca("root.pem")];
    const chain = ["-untrusted", ca("issuing.pem"), file(`${name}.pem`)];
    expect((await runPeer(openssl, [...words, ...chain])).text).toContain(": OK");
  }
});

test("openssl verifies the revocation list and finds a revoked certificate in it, and OCSP says the same", async (context) => {
  const openssl = peer("openssl", context);
  const identity = await enrolNow();
  writeIdentity("leaf", identity);

  await fetchList();
  expect((await runPeer(openssl, listWords())).text).toContain("verify OK");
  expect((await runPeer(openssl, checkWords())).text).toContain(": OK");
  const before = (await runPeer(openssl, ocspWords())).text;
  expect(before).toContain("Response verify OK");
  expect(before).toContain("leaf.pem: good");

  await revoke(identity);
  await fetchList();
  expect((await runPeer(openssl, listWords())).text).toContain("verify OK");
  await expect(runPeer(openssl, checkWords())).rejects.toThrow("certificate revoked");
  const after = (await runPeer(openssl, ocspWords())).text;
  expect(after).toContain("Response verify OK");
  expect(after).toMatch(/leaf\.pem: revoked\s[\s\S]*Reason: keyCompromise/);
});

async function enrolNow(): Promise<DeviceIdentity> {
  const challenge = await challengeStandalone(running.suite);
  const subject = `CN=${DEMO.deviceId}`;
  return enrol(await running.suite.scepServer(), {
    subject,
    challenge,
    privateKey: await newDeviceKey(),
  });
}

function writeIdentity(name: string, identity: DeviceIdentity): void {
  writeFileSync(file(`${name}.pem`), identityToPem({ ...identity, authorities: [] }).certificate);
}

/** The list of the issuing authority, from the address that the certificate names. */
async function fetchList(): Promise<void> {
  const { text } = await runPeer("openssl", ["x509", "-in", file("leaf.pem"), "-noout", "-text"]);
  const url = /URI:(http:\S+\.crl)/.exec(text)?.[1] ?? "";
  const answer = await fetch(url);
  expect(answer.headers.get("content-type")).toBe("application/pkix-crl");
  writeFileSync(file("list.crl"), Buffer.from(await answer.arrayBuffer()));
}

function listWords(): string[] {
  return ["crl", "-in", file("list.crl"), "-inform", "DER", "-noout", "-CAfile", ca("issuing.pem")];
}

function checkWords(): string[] {
  return [
    ...["verify", "-crl_check", "-CRLfile", file("list.crl")],
    ...["-CAfile", ca("root.pem"), "-untrusted", ca("issuing.pem"), file("leaf.pem")],
  ];
}

function ocspWords(): string[] {
  const { scep } = running.suite.ports;
  const id = running.issuerKeyId;
  return [
    ...["ocsp", "-issuer", ca("issuing.pem"), "-cert", file("leaf.pem")],
    ...["-url", `http://127.0.0.1:${scep}/ocsp/${id}`, "-CAfile", ca("root.pem")],
    ...["-verify_other", ca("issuing.pem")],
  ];
}

async function revoke({ certificate }: DeviceIdentity): Promise<void> {
  const { configFile } = running.suite.layout.of("cert-connector");
  await runCommand(entryOf("cert-connector"), [
    ...["revoke", "--config", configFile, "--serial", certificate.serialNumber],
    ...["--reason", "keyCompromise"],
  ]);
}
