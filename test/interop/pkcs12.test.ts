import type { KeyObject } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identityIn, type Pkcs12Identity } from "@isthmus/cert-connector/protocol/pkcs12-identity";
import { parsePkcs12 } from "@isthmus/cert-connector/protocol/pkcs12-reader";
import { encodePkcs12, type Pkcs12Format } from "@isthmus/cert-connector/protocol/pkcs12-writer";
import { systemRandom } from "@isthmus/shared/random";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { derToPem } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";
import { openssl } from "./openssl-workshop.ts";
import { runPeer } from "./run-peer.ts";

/** Our PFX codec against OpenSSL 3 and NSS, both ways. */

const PASSWORD = "pass-word-2026";
const FORMATS = ["legacy", "modern"] as const;

const folder = temporaryFolder();
const file = (name: string) => join(folder.path, name);
let chain: readonly Uint8Array[];
let device: TestIdentity;

/** NSS wants each certificate of an issuer to have a serial number of its own. */
beforeAll(async () => {
  const root = await testAuthority({ subject: "CN=root", serialNumber: "4001" });
  const issuing = await testAuthority({ subject: "CN=issuing", serialNumber: "4002" }, root);
  device = await testCertificate({ key: testRsaKey(), serialNumber: "4003" }, issuing);
  chain = [issuing.certificate.der, root.certificate.der];
  const pem = (der: Uint8Array) => derToPem(der, "CERTIFICATE");
  writeFileSync(file("chain.pem"), chain.map(pem).join(""));
  writeFileSync(file("device.pem"), pem(device.certificate.der));
  writeFileSync(file("device.key"), device.key.export({ type: "pkcs8", format: "pem" }));
  for (const format of FORMATS) writeFileSync(file(`${format}.pfx`), await ours(format));
});
afterAll(() => folder[Symbol.dispose]());

const pkcs8 = (of: KeyObject) => of.export({ format: "der", type: "pkcs8" });

function ours(format: Pkcs12Format): Promise<Buffer> {
  const content = {
    privateKey: pkcs8(device.key),
    certificate: device.certificate.der,
    chain,
    friendlyName: "Isthmus device",
    localKeyId: Buffer.from("0a0b", "hex"),
  };
  return encodePkcs12(content, { format, password: PASSWORD }, systemRandom);
}

async function read(name: string): Promise<Pkcs12Identity> {
  return identityIn(await parsePkcs12(readFileSync(file(name)), PASSWORD));
}

function expectDevice(identity: Pkcs12Identity): void {
  expect(pkcs8(identity.privateKey)).toEqual(pkcs8(device.key));
  expect(identity.certificate.der).toEqual(device.certificate.der);
}

const opening = (name: string, password = PASSWORD) => [
  ...["pkcs12", "-in", file(name), "-passin", `pass:${password}`],
  ...["-passout", "pass:x"],
];

describe.each(FORMATS)("our %s file", (format) => {
  const legacy = format === "legacy" ? ["-legacy"] : [];

  test("is opened by OpenSSL 3: MAC, both bags and the chain", async (context) => {
    const text = await openssl(context, ...opening(`${format}.pfx`), ...legacy, "-info");
    expect(text).toContain("friendlyName: Isthmus device");
    expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
    expect(text).toContain("BEGIN ENCRYPTED PRIVATE KEY");
    const encryption = {
      legacy: /: pbeWithSHA1And3-KeyTripleDES-CBC/g,
      modern: /: PBES2, PBKDF2, AES-256-CBC/g,
    }[format];
    expect(text.match(encryption)).toHaveLength(2);
    expect(text).toMatch(format === "legacy" ? /MAC: sha1, Iter/ : /MAC: sha256, Iter/);
    const wrong = openssl(context, ...opening(`${format}.pfx`, "wrong"), ...legacy);
    await expect(wrong).rejects.toThrow(/invalid password/);
  });

  test("is imported by NSS, key and all", async (context) => {
    const database = await newDatabase(context, `nss-${format}`);
    const words = ["-i", file(`${format}.pfx`), "-d", database, "-W"];
    const pk12util = peer("pk12util", context);
    await expect(runPeer(pk12util, [...words, "wrong"])).rejects.toThrow(/PASSWORD/i);
    expect((await runPeer(pk12util, [...words, PASSWORD])).text).toContain("SUCCESSFUL");
    const certutil = peer("certutil", context);
    const certificates = (await runPeer(certutil, ["-L", "-d", database])).text;
    expect(certificates).toMatch(/Isthmus device\s+u,u,u/);
    expect((await runPeer(certutil, ["-K", "-d", database])).text).toContain("Isthmus device");
  });
});

describe("a file of OpenSSL is read", () => {
  const ways: Readonly<Record<string, readonly string[]>> = {
    "with AES-256 and SHA-256, its default": [],
    "with triple DES and SHA-1": ["-legacy", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
    "with AES-128 and many iterations": ["-certpbe", "AES-128-CBC", "-iter", "100000"],
    "with a MAC of SHA-512": ["-macalg", "sha512"],
    "with its certificates in the clear": ["-certpbe", "NONE"],
    "with everything in the clear": ["-certpbe", "NONE", "-keypbe", "NONE"],
    "without a MAC": ["-nomac"],
  };
  for (const [way, options] of Object.entries(ways)) {
    test(way, async (context) => {
      await exportWith(context, options);
      const identity = await read("theirs.pfx");
      expectDevice(identity);
      expect(identity.chain).toHaveLength(2);
      expect(identity.friendlyName).toBe("theirs");
    });
  }

  test("but for RC2, which is told by name, and a wrong password is told from that", async (context) => {
    await exportWith(context, ["-legacy", "-certpbe", "PBE-SHA1-RC2-40"]);
    await expect(read("theirs.pfx")).rejects.toMatchObject({ code: "pkcs12-algorithm" });
    const reading = parsePkcs12(readFileSync(file("theirs.pfx")), "wrong");
    await expect(reading).rejects.toMatchObject({ code: "pkcs12-password" });
  });
});

async function exportWith(context: TestContext, options: readonly string[]): Promise<void> {
  const identity = ["-inkey", file("device.key"), "-in", file("device.pem")];
  const issuers = ["-certfile", file("chain.pem"), "-name", "theirs"];
  const out = ["-passout", `pass:${PASSWORD}`, "-out", file("theirs.pfx")];
  await openssl(context, "pkcs12", "-export", ...identity, ...issuers, ...out, ...options);
}

describe("a file of NSS is read", () => {
  const ways: Readonly<Record<string, readonly string[]>> = {
    "with its defaults": [],
    "with AES-256 in both bags": ["-c", "AES-256-CBC", "-C", "AES-256-CBC"],
  };
  for (const [way, options] of Object.entries(ways)) {
    test(way, async (context) => {
      const database = await newDatabase(context, `nss-out-${options.length}`);
      const pk12util = peer("pk12util", context);
      const at = ["-d", database, "-W", PASSWORD];
      await runPeer(pk12util, ["-i", file("modern.pfx"), ...at]);
      const out = ["-o", file("nss.pfx"), "-n", "Isthmus device"];
      await runPeer(pk12util, [...out, ...at, ...options]);
      expectDevice(await read("nss.pfx"));
    });
  }
});

async function newDatabase(context: TestContext, name: string): Promise<string> {
  mkdirSync(file(name));
  const database = `sql:${file(name)}`;
  await runPeer(peer("certutil", context), ["-N", "-d", database, "--empty-password"]);
  return database;
}
