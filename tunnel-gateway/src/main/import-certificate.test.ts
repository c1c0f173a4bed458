import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { runCommandLine } from "@isthmus/shared/kernel/command";
import { testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { afterAll, expect, test } from "vitest";
import {
  nextSerial,
  type PemIdentity,
  pemOf,
  writeIdentity,
} from "../testing/test-certificates.ts";
import { importCertificate } from "./import-certificate.ts";

const DAY_MS = 86_400_000;
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const config = join(folder.path, "config.json");
const inForce = { certificateFile: "gateway.pem", keyFile: "gateway.key.pem" };
writeFileSync(config, JSON.stringify({ tls: inForce, other: true }));
const certificateFile = join(folder.path, inForce.certificateFile);
const keyFile = join(folder.path, inForce.keyFile);

async function make(names: readonly string[], change: { readonly notAfter?: number } = {}) {
  const extensions = [
    subjectAltNameExtension(names.map((value) => ({ type: "dns", value }) as const)),
  ];
  const validity = { notBefore: Date.now() - 2 * DAY_MS, notAfter: Date.now() + DAY_MS, ...change };
  const subject = `CN=${names[0]}`;
  return pemOf(
    await testCertificate({ subject, serialNumber: nextSerial(), extensions, ...validity }),
  );
}

/** Puts a certificate in force that expires soon. */
async function present(): Promise<PemIdentity> {
  const identity = await make(["vpn.example", "*.relay.example"]);
  writeFileSync(certificateFile, identity.certificate, { mode: 0o640 });
  writeFileSync(keyFile, identity.key, { mode: 0o600 });
  return identity;
}

async function run(identity: PemIdentity, ...words: string[]) {
  const files = writeIdentity(folder.path, "next", identity);
  const output = new PassThrough();
  const line = { name: "tunnel-gateway", summary: "", version: "", commands: [importCertificate] };
  const call = ["import-cert", files.certificateFile, files.keyFile, "--config", config, ...words];
  const exitCode = await runCommandLine(line, call, { stdout: output, stderr: output });
  return { exitCode, printed: String(output.read() ?? "") };
}

test("a renewed certificate comes in place of the former with its key, and modes stay", async () => {
  await present();
  const next = await make(["vpn.example", "*.relay.example", "new.example"]);
  expect(await run(next)).toMatchObject({
    exitCode: 0,
    printed: expect.stringMatching("new.example"),
  });
  expect(readFileSync(certificateFile, "utf8")).toBe(next.certificate);
  expect(readFileSync(keyFile, "utf8")).toBe(next.key);
  expect(statSync(certificateFile).mode & 0o777).toBe(0o640);
  expect(statSync(keyFile).mode & 0o777).toBe(0o600);
});

test.each([
  [
    "a certificate that lacks a name of the present one",
    ["vpn.example"],
    {},
    "[certificate-unfit]",
  ],
  [
    "an expired certificate",
    ["vpn.example", "*.relay.example"],
    { notAfter: Date.now() - DAY_MS },
    "it expired on",
  ],
])("%s is refused, and nothing changes", async (_, names, change, reason) => {
  const former = await present();
  const { exitCode, printed } = await run(await make(names, change));
  expect(exitCode).toBe(1);
  expect(printed).toContain(reason);
  expect(readFileSync(certificateFile, "utf8")).toBe(former.certificate);
});

test("a key of another certificate is refused", async () => {
  const former = await present();
  const { key } = await make(["vpn.example"]);
  const { certificate } = await make(["vpn.example", "*.relay.example"]);
  expect((await run({ certificate, key })).printed).toContain("is not the key of the certificate");
  expect(readFileSync(keyFile, "utf8")).toBe(former.key);
});

test("a file that is something else is named", async () => {
  await present();
  const next = await make(["vpn.example", "*.relay.example"]);
  const swapped = await run({ certificate: next.key, key: next.certificate });
  expect(swapped.printed).toMatch(/next\S* holds no certificate \(PEM\)/);
  const encrypted = await run({ ...next, key: "-----BEGIN ENCRYPTED PRIVATE KEY-----" });
  expect(encrypted.printed).toMatch(/next\S* holds no key \(PEM, not encrypted\)/);
});

test("names can be given, and then those of the present certificate do not count", async () => {
  await present();
  const next = await make(["other.example"]);
  expect((await run(next, "--name", "vpn.example")).exitCode).toBe(1);
  expect((await run(next, "--name", "other.example", "--json")).exitCode).toBe(0);
});
