import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { issued, ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { until } from "@isthmus/shared/testing/until";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { derToPem } from "@isthmus/shared/x509/pem";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { describe, expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";
import { runPeer } from "./run-peer.ts";
import { ca, initInToken, startHsmConnector } from "./softhsm/hsm-connector.ts";
import { moduleProcesses, type SoftToken, softToken } from "./softhsm/soft-token.ts";

type Connector = Awaited<ReturnType<typeof startHsmConnector>>;

/** What openssl says of a certificate with every list of its chain at hand, and of its status by OCSP. */
async function judged(context: TestContext, token: SoftToken, it: Connector, leaf: Certificate) {
  const openssl = peer("openssl", context);
  const file = (name: string) => join(token.folder, name);
  // Behind the RA's certificate GetCACert gives the issuing CA's and the root's.
  const [, ...authorities] = await it.device.caCertificates();
  const keyIds = authorities.map(({ publicKeyInfo }) => keyIdentifierOf(publicKeyInfo));
  const lists: string[] = [];
  for (const keyId of keyIds.map((octets) => octets.toString("hex"))) {
    const response = await fetch(`${it.url}/crl/${keyId}.crl`);
    expect(response.status).toBe(200);
    const der = Buffer.from(await response.arrayBuffer());
    writeFileSync(file(`${keyId}.crl`), derToPem(der, "X509 CRL"));
    lists.push("-CRLfile", file(`${keyId}.crl`));
  }
  expect(lists).toHaveLength(4);
  writeFileSync(file("leaf.pem"), derToPem(leaf.der, "CERTIFICATE"));
  const [root, issuing] = [file("ca/root.pem"), file("ca/issuing.pem")];
  const chain = ["-CAfile", root, "-untrusted", issuing];
  const verify = ["verify", "-crl_check_all", ...chain, ...lists, file("leaf.pem")];
  const responder = `${it.url}/ocsp/${keyIds[0]?.toString("hex")}`;
  const status = ["ocsp", "-issuer", issuing, "-cert", file("leaf.pem"), "-CAfile", root];
  return {
    verified: (await runPeer(openssl, verify)).text,
    ocsp: (await runPeer(openssl, [...status, "-url", responder])).text,
  };
}

describe.each(["rsa-2048", "ec-p256", "ec-p384"])(
  "with an issuing key of %s in the token",
  (algorithm) => {
    test("a device enrols, and openssl verifies certificate, lists and OCSP answers", async (context) => {
      using token = await softToken(context);
      await initInToken(token, algorithm);
      await using it = await startHsmConnector(token);
      const leaf = issued(await it.device.enrol(await it.request("device-1")));
      const { verified, ocsp } = await judged(context, token, it, leaf);
      expect(verified).toContain(": OK");
      expect(ocsp).toContain("Response verify OK");
      expect(ocsp).toContain("leaf.pem: good");
      expect(await it.health()).toMatchObject({ status: "healthy" });
    });
  },
);

/** Asks the library itself, in a process of its own, for what a key must not give. */
const EXTRACTION = `
  const { createRequire } = await import("node:module");
  const library = createRequire(process.cwd() + "/x.js")("pkcs11js");
  const [path, pin, label] = process.argv.slice(1);
  const module = new library.PKCS11();
  module.load(path);
  module.C_Initialize();
  const slot = module.C_GetSlotList(true).find((each) => module.C_GetTokenInfo(each).label.trim() === "Isthmus");
  const session = module.C_OpenSession(slot, library.CKF_SERIAL_SESSION);
  module.C_Login(session, library.CKU_USER, pin);
  module.C_FindObjectsInit(session, [
    { type: library.CKA_CLASS, value: library.CKO_PRIVATE_KEY },
    { type: library.CKA_LABEL, value: label },
  ]);
  const [key] = module.C_FindObjects(session, 1);
  const read = (type) => module.C_GetAttributeValue(session, key, [{ type }])[0].value.toString("hex");
  const flags = [library.CKA_SENSITIVE, library.CKA_EXTRACTABLE, library.CKA_DECRYPT].map(read);
  try {
    read(label === "ra" ? library.CKA_PRIVATE_EXPONENT : library.CKA_VALUE);
  } catch (error) {
    console.log(flags.join(" "), error.message);
  }`;

test.for([
  ["issuing", "01 00 00"],
  ["ra", "01 00 01"],
])("the %s key cannot be read out of the token", async ([label = "", flags = ""], context) => {
  using token = await softToken(context);
  await initInToken(token, "ec-p256");
  const words = ["--input-type=module", "--eval", EXTRACTION];
  const pin = readFileSync(token.pinFile, "utf8").trim();
  const { text } = await runPeer(process.execPath, [...words, token.module, pin, label]);
  expect(text).toBe(`${flags} CKR_ATTRIBUTE_SENSITIVE\n`);
});

describe("the RA's key in the token", () => {
  test("opens OAEP envelopes as current Windows sends them", async (context) => {
    using token = await softToken(context);
    await initInToken(token, "ec-p256");
    await using it = await startHsmConnector(token);
    const { recipient } = await it.device.server();
    for (const digest of ["sha1", "sha256"] as const) {
      const windows = new ScepDevice(`${it.url}/scep/device`, {
        recipient,
        keyEncryption: { scheme: "oaep", digest },
      });
      expect(issued(await windows.enrol(await it.request(`windows-${digest}`)))).toBeDefined();
    }
  });

  test("may be the issuing CA's own, for clients that take one certificate alone", async (context) => {
    using token = await softToken(context);
    await initInToken(token, "rsa-2048", ["--own-ra"]);
    await using it = await startHsmConnector(token, {}, { caCertificates: "single" });
    const [only, ...others] = await it.device.caCertificates();
    expect([only?.basicConstraints?.isCa, others.length]).toEqual([true, 0]);
    expect(issued(await it.device.enrol(await it.request("apple")))).toBeDefined();
  });

  test("is renewed there while the service runs, and the one before still answers", async (context) => {
    using token = await softToken(context);
    await initInToken(token, "ec-p256");
    await using it = await startHsmConnector(token);
    const before = await it.device.server();
    it.kernel.clock.advance(1_000);
    const renewed = (await it.control("ca.renew-ra")) as { readonly serialNumber: string };
    const [ra] = await it.device.caCertificates();
    expect(ra?.serialNumber).toBe(renewed.serialNumber);
    expect(ra?.serialNumber).not.toBe(before.recipient.serialNumber);
    expect(issued(await it.device.enrol(await it.request("late")))).toBeDefined();
    const fresh = new ScepDevice(`${it.url}/scep/device`);
    expect(issued(await fresh.enrol(await it.request("early")))).toBeDefined();
  });
});

describe("a token that goes away", () => {
  test("makes devices come back later and health say why; afterwards all goes on by itself", async (context) => {
    using token = await softToken(context);
    await initInToken(token, "ec-p256");
    await using it = await startHsmConnector(token);
    const request = await it.request("device-1");
    const { certificationRequest, signer } = request;
    const wish = { messageType: "PKCSReq", certificationRequest } as const;
    const transaction = await it.device.begin(wish, signer);
    token.takeOut();
    await expect(it.device.send(transaction)).rejects.toThrow("HTTP 503");
    expect(await it.health()).toMatchObject({
      status: "unhealthy",
      remedy: expect.stringMatching(/HSM|library/),
    });
    token.putBack();
    await until(async () => (await it.health()).status === "healthy", "the token is open again");
    expect(issued(await it.device.send(transaction))).toBeDefined();
  });

  test("between the intent and the signature leaves one certificate, which the device then gets", async (context) => {
    using token = await softToken(context);
    const raInFolder = { raKeyLabel: undefined };
    await initInToken(token, "ec-p256", [], raInFolder);
    await using it = await startHsmConnector(token, raInFolder);
    const { certificationRequest, signer } = await it.request("device-1");
    const wish = { messageType: "PKCSReq", certificationRequest } as const;
    const transaction = await it.device.begin(wish, signer);
    token.takeOut();
    await expect(it.device.send(transaction)).rejects.toThrow("HTTP 503");
    token.putBack();
    await until(async () => (await it.health()).status === "healthy", "the token is open again");
    const first = issued(await it.device.send(transaction));
    expect(issued(await it.device.send(transaction)).der).toEqual(first.der);
    expect(await it.serialNumbers()).toEqual([first.serialNumber]);
  });

  test("with its process alone, killed or crashed, is not even noticed", async (context) => {
    using token = await softToken(context);
    await initInToken(token, "rsa-2048");
    await using it = await startHsmConnector(token);
    const [pid, ...others] = moduleProcesses();
    expect(others).toEqual([]);
    process.kill(pid ?? 0, "SIGKILL");
    expect(issued(await it.device.enrol(await it.request("device-1")))).toBeDefined();
    expect(moduleProcesses()).not.toContain(pid);
  });

  test("or hangs is given up, and a new process takes over", async (context) => {
    using token = await softToken(context);
    await initInToken(token, "ec-p256");
    await using it = await startHsmConnector(token, { timeoutMs: 4_000 });
    const [pid] = moduleProcesses();
    process.kill(pid ?? 0, "SIGSTOP");
    expect(issued(await it.device.enrol(await it.request("device-1")))).toBeDefined();
    expect(moduleProcesses()).not.toContain(pid);
  });
});

describe("what is wrong with the token is said at start", () => {
  test("a wrong PIN, which is then not tried again until its file changes", async (context) => {
    using token = await softToken(context);
    await initInToken(token, "ec-p256");
    const right = { pinFile: token.pinFile };
    const pinFile = join(token.folder, "wrong-pin");
    writeFileSync(pinFile, "111111", { mode: 0o600 });
    const status = (hsm: Record<string, unknown>) => ca(token, ["status"], hsm);
    expect((await status({ pinFile })).stderr).toContain("the token refused the PIN");
    expect((await status({ pinFile })).stderr).toContain("not tried again until that file changes");
    expect((await status(right)).stdout).toContain('token    "Isthmus"');
  });

  test("another token, a key that is not there, of another kind, or of another certificate", async (context) => {
    using token = await softToken(context);
    await initInToken(token, "rsa-2048", ["--root-key-label", "root"]);
    const said = async (hsm: Record<string, unknown>) => (await ca(token, ["status"], hsm)).stderr;
    expect(await said({ tokenLabel: "Other" })).toContain('"Other"; there are: "Isthmus"');
    expect(await said({ issuingKeyLabel: "nope" })).toContain('no private key "nope"');
    expect(await said({ issuingKeyLabel: "ra" })).toContain("is not the one of the certificate");
    const ecRoot = ["--key-label", "ec", "--algorithm", "ec-p256", "--name", "EC"];
    await ca(token, ["next", "--root-key-label", "root", ...ecRoot]);
    expect(await said({ issuingKeyLabel: "ec" })).toContain('"ec" is no RSA key');
  });
});

test("ca init makes nothing where a key is there already, unless it is told to use it", async (context) => {
  using token = await softToken(context);
  await initInToken(token, "ec-p256", ["--root-key-label", "root"]);
  const { stdout } = await ca(token, ["status"]);
  expect(stdout).toMatch(/issuing .*\(token\)/);
  const words = ["--name", "Again", "--algorithm", "ec-p256", "--root-key-label", "root"];
  const elsewhere = [
    "--folder",
    join(token.folder, "again"),
    "--passphrase-file",
    join(token.folder, "p2"),
  ];
  const refused = await ca(token, ["init", "--hsm", ...words, ...elsewhere]);
  expect(refused.stderr).toContain('has a key "root" already');
  const used = await ca(token, ["init", "--hsm", "--existing-keys", ...words, ...elsewhere]);
  expect(used).toMatchObject({ exitCode: 0 });
  const signed = await ca(token, ["next", "--root-key-label", "root", "--name", "Next"]);
  expect(signed).toMatchObject({ exitCode: 0 });
});
