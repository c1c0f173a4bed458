import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { runCommandLine } from "@isthmus/shared/kernel/command";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { openStore } from "@isthmus/shared/store/store";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import {
  type CertificationRequestContent,
  encodeCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { buildChain } from "@isthmus/shared/x509/chain";
import { basicConstraintsExtension, keyUsageExtension } from "@isthmus/shared/x509/extensions";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { derToPem, pemToDer } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAuthorityFolder } from "../ca/authority-folder.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { caCommands } from "./ca-commands.ts";

/** One authority for all tests, made with `ca init`; each test writes files of its own. */
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const at = (name: string) => join(folder.path, name);
const config = at("config.json");
const passphrase = () => readFileSync(at("passphrase"), "utf8").trim();
const files = () => readAuthorityFolder(at("ca"), passphrase());
const pemOf = (name: string, label = "CERTIFICATE") =>
  pemToDer(readFileSync(at(name), "utf8"), label);

async function ca(...words: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const line = { name: "cert-connector", summary: "", version: "1", commands: [caCommands] };
  const exitCode = await runCommandLine(line, ["ca", ...words], { stdout, stderr });
  return { exitCode, stdout: String(stdout.read()), stderr: String(stderr.read()) };
}

beforeAll(async () => {
  writeFileSync(
    config,
    JSON.stringify({
      stateFolder: "state",
      standalone: { desiredConfigurationFile: "desired.json" },
      ca: { folder: "ca", passphraseFile: "passphrase" },
    }),
  );
  writeFileSync(at("desired.json"), "{}");
  const made = await ca(
    ...["init", "--config", config, "--name", "Test", "--algorithm", "ec-p256"],
    ...["--root-key-out", at("root.key.pem")],
  );
  expect(made).toMatchObject({ exitCode: 0 });
});

const withRoot = ["--config", config, "--root-key", at("root.key.pem")];

let count = 0;
/** A request in a file, for an EC key unless another is given. */
async function request(
  content: Partial<CertificationRequestContent> = {},
  key: KeyObject = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
): Promise<string> {
  const subject = content.subject ?? parseNameText("CN=Cloud Issuing CA,O=Example");
  const der = await encodeCertificationRequest({ ...content, subject }, key);
  count += 1;
  writeFileSync(at(`${count}.csr`), derToPem(der, "CERTIFICATE REQUEST"));
  return at(`${count}.csr`);
}

const sign = (csr: string, ...words: string[]) => {
  count += 1;
  return ca("sign-csr", csr, ...withRoot, "--out", at(`${count}.pem`), ...words);
};

async function audit(event: string): Promise<Record<string, unknown>[]> {
  await using store = await openStore<CertificateOperations>({
    file: stateFolderAt(at("state")).storeFile,
    module: new URL("../store/operations.ts", import.meta.url),
  });
  const sql = "SELECT payload FROM audit_journal WHERE event = ? ORDER BY idx";
  const rows = await store.query<{ payload: string }>(sql, [event], 100);
  return rows.map(({ payload }) => JSON.parse(payload));
}

test("ca init makes an empty list of the root, which the status shows", async () => {
  const list = parseCertificateList(pemOf("ca/root.crl", "X509 CRL")[0] ?? Buffer.alloc(0));
  expect(list.revoked.size).toBe(0);
  expect(files().rootList?.crlNumber).toBe(1n);
  const { stdout } = await ca("status", "--config", config);
  expect(stdout).toContain("root.crl 0 revoked");
  expect(stdout).toMatch(/issuing +CN=Test Issuing CA, .*\(folder\)/);
});

describe("ca sign-csr", () => {
  test("signs an authority below the root, with what was asked for, and puts it on record", async () => {
    const words = ["--years", "3", "--permit-dns", "example.com", "--eku", "clientAuth"];
    const chainOut = ["--chain-out", at("chain.pem"), "--public-url", "http://pki.example.com/"];
    const signed = await sign(await request(), ...words, ...chainOut);
    expect(signed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("in the audit") });
    const [certificate, root] = pemOf("chain.pem").map(parseCertificate);
    if (certificate === undefined || root === undefined) throw new Error("no chain");
    expect(buildChain(certificate, [], [root], Date.now())).toHaveLength(2);
    expect(certificate.basicConstraints).toEqual({ isCa: true, pathLength: 0 });
    expect(certificate.keyUsage).toEqual(["digitalSignature", "keyCertSign", "cRLSign"]);
    expect(certificate.extendedKeyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(certificate.nameConstraints?.permitted).toEqual([{ type: "dns", value: "example.com" }]);
    const keyId = root.subjectKeyIdentifier?.toString("hex");
    expect(certificate.crlDistributionPoints).toEqual([`http://pki.example.com/crl/${keyId}.crl`]);
    expect(certificate.notAfter - Date.now()).toBeLessThan(3 * 365 * 86_400_000);
    expect(await audit("ca.subordinate")).toContainEqual(
      expect.objectContaining({ serialNumber: certificate.serialNumber, pathLength: 0 }),
    );
  });

  test("overwrites nothing", async () => {
    const csr = await request();
    writeFileSync(at("there.pem"), "");
    const refused = await ca("sign-csr", csr, ...withRoot, "--out", at("there.pem"));
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("exists") });
  });

  test.each<[string, () => Promise<string>, string]>([
    [
      "a small RSA key",
      () => request({}, generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey),
      "1024 bits is below 2048",
    ],
    [
      "the root's own name",
      () => request({ subject: files().root.subject }),
      "subject is the root's",
    ],
    [
      "CA:false",
      () => request({ extensionRequest: [basicConstraintsExtension({ isCa: false })] }),
      "no authority's",
    ],
    [
      "a key usage of a device",
      () => request({ extensionRequest: [keyUsageExtension(["digitalSignature"])] }),
      "without keyCertSign",
    ],
    ["a wrong signature of its own", tampered, "own signature is wrong"],
    ["no request in it", async () => config, "no certification request"],
  ])("refuses a request with %s", async (_, csr, reason) => {
    expect(await sign(await csr())).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining(reason),
    });
  });

  async function tampered(): Promise<string> {
    const file = await request();
    const [der] = pemToDer(readFileSync(file, "utf8"), "CERTIFICATE REQUEST");
    const changed = Buffer.from(der ?? []);
    const name = changed.indexOf("Cloud Issuing");
    changed.write("Cloud issuing", name);
    writeFileSync(file, changed);
    return file;
  }

  test("refuses what the root cannot give: path length, time", async () => {
    const csr = await request();
    expect((await sign(csr, "--path-length", "1")).stderr).toContain("allows path lengths below 1");
    expect((await sign(csr, "--years", "20")).stderr).toContain("the root ends on");
    const tooLong = await sign(csr, "--years", "21");
    expect(tooLong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("from 1 to 20") });
  });

  test("takes no key that is not the root's", async () => {
    const csr = await request();
    const words = ["--config", config, "--out", at("wrong.pem")];
    const other = await ca("sign-csr", csr, ...words, "--root-key", at("ca/issuing.key.pem"));
    expect(other.stderr).toContain("is not the key of the root's certificate");
    expect((await ca("sign-csr", csr, ...words)).stderr).toContain("either --root-key or");
  });

  test("works on a machine without configuration, where nothing is on record", async () => {
    const signed = await ca(
      ...["sign-csr", await request(), "--root-cert", at("ca/root.pem"), "--out", at("alone.pem")],
      ...["--root-key", at("root.key.pem"), "--root-passphrase-file", at("passphrase")],
    );
    expect(signed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("in no audit") });
  });
});

test("ca next makes the successor that devices learn, once", async () => {
  const words = [...withRoot, "--name", "Test 2", "--algorithm", "ec-p256"];
  expect(await ca("next", ...words)).toMatchObject({ exitCode: 0 });
  const { next, root, issuing } = files();
  expect(next.map(({ der }) => der)).toEqual([next[0]?.der, root.der]);
  expect(next[0]?.publicKeyInfo).not.toEqual(issuing.certificate.publicKeyInfo);
  expect((await ca("next", ...words)).stderr).toContain("is not overwritten");
});

test("ca root-list revokes an authority; the number grows and what was revoked stays", async () => {
  const revoke = (...serials: string[]) =>
    ca("root-list", ...withRoot, ...serials.flatMap((serial) => ["--revoke", serial]));
  expect(await revoke("0A0B")).toMatchObject({ exitCode: 0 });
  expect(await revoke("0c")).toMatchObject({ exitCode: 0 });
  expect(await revoke("x")).toMatchObject({ exitCode: 2 });
  const { rootList } = files();
  expect(rootList?.crlNumber).toBe(3n);
  expect([...(rootList?.revoked.keys() ?? [])]).toEqual(["0a0b", "0c"]);
  expect(await audit("ca.root-list")).toHaveLength(2);
});

describe("ca renew-ra, while the service is stopped", () => {
  test("makes a new key, and the one before stays beside it", async () => {
    const before = files();
    expect(await ca("renew-ra", "--config", config)).toMatchObject({ exitCode: 0 });
    const after = files();
    expect(after.ra.certificate.publicKeyInfo).not.toEqual(before.ra.certificate.publicKeyInfo);
    expect(after.previousRa?.certificate.der).toEqual(before.ra.certificate.der);
    expect(publicKeyInfoOf(after.previousRa?.key ?? after.ra.key)).toEqual(
      before.ra.certificate.publicKeyInfo,
    );
    expect(await audit("ca.ra-renewed")).toHaveLength(1);
  });

  test("keeps the key if told to", async () => {
    const before = files();
    expect(await ca("renew-ra", "--config", config, "--same-key")).toMatchObject({ exitCode: 0 });
    const after = files();
    expect(after.ra.certificate.publicKeyInfo).toEqual(before.ra.certificate.publicKeyInfo);
    expect(after.ra.certificate.serialNumber).not.toBe(before.ra.certificate.serialNumber);
    expect(after.previousRa?.certificate.der).toEqual(before.ra.certificate.der);
  });
});

describe("ca init", () => {
  const words = ["init", "--config", config, "--name", "Another"];

  test("makes nothing over another authority", async () => {
    const refused = await ca(...words, "--root-key-out", at("another.pem"));
    expect(refused.stderr).toContain("a certification authority is made once");
  });

  test.each([
    ["without a place for the root's key", [], "--root-key-out"],
    ["with the root's key in a token and no --hsm", ["--root-key-label", "root"], "needs --hsm"],
    ["--hsm without ca.hsm", ["--hsm", "--root-key-out", "x"], "with ca.hsm"],
  ])("%s is wrong usage", async (_, more, reason) => {
    const refused = await ca(...words, ...more);
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(reason) });
  });
});
