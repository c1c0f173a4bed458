import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openEnvelope } from "@isthmus/cert-connector/protocol/envelope-opening";
import {
  encodeEnvelopedData,
  parseEnvelopedData,
  sealedFor,
} from "@isthmus/cert-connector/protocol/enveloped-data";
import {
  encodeCertificatesOnly,
  encodeSignedData,
  parseSignedData,
} from "@isthmus/cert-connector/protocol/signed-data";
import {
  findSignerCertificate,
  verifySigner,
} from "@isthmus/cert-connector/protocol/signer-verification";
import { systemRandom } from "@isthmus/shared/random";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { assembleSigned, type Certificate } from "@isthmus/shared/x509/certificate";
import {
  encodeTbsCertificateList,
  parseCertificateList,
} from "@isthmus/shared/x509/certificate-list";
import {
  encodeCertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { buildChain } from "@isthmus/shared/x509/chain";
import {
  authorityInfoAccessExtension,
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { nameConstraintsExtension } from "@isthmus/shared/x509/name-constraints";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { certIdFor, parseOcspRequest } from "@isthmus/shared/x509/ocsp-request";
import { encodeOcspResponse, parseOcspResponse } from "@isthmus/shared/x509/ocsp-response";
import { verifyOcspResponse } from "@isthmus/shared/x509/ocsp-verification";
import { derToPem, pemToDer } from "@isthmus/shared/x509/pem";
import { SIGNATURE, sign } from "@isthmus/shared/x509/signature";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";
import { runPeer } from "./run-peer.ts";

/** The openssl command line as the second opinion: it reads what we write, and we read what it writes. */

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const now = Date.now();
const validity = { notBefore: now - HOUR_MS, notAfter: now + YEAR_MS };
const folder = temporaryFolder();
const file = (name: string) => join(folder.path, name);

let root: TestIdentity;
let issuing: TestIdentity;
let device: TestIdentity;

beforeAll(async () => {
  root = await testAuthority({ subject: "CN=root,O=Isthmus", key: testRsaKey(), ...validity });
  issuing = await testAuthority(
    {
      subject: "CN=issuing,O=Isthmus",
      extensions: [
        basicConstraintsExtension({ isCa: true, pathLength: 0 }),
        keyUsageExtension(["keyCertSign", "cRLSign"]),
        nameConstraintsExtension({
          permitted: [{ type: "dns", value: "example.com" }],
          excluded: [{ type: "ip", value: Buffer.alloc(8) }],
        }),
      ],
      ...validity,
    },
    root,
  );
  device = await deviceNamed("device.example.com");
  save("root", root.certificate);
  save("issuing", issuing.certificate);
  save("device", device.certificate);
  writeFileSync(file("device.key"), device.key.export({ type: "pkcs8", format: "pem" }));
});
afterAll(() => folder[Symbol.dispose]());

function deviceNamed(host: string): Promise<TestIdentity> {
  const extensions = [
    keyUsageExtension(["digitalSignature", "keyEncipherment"]),
    extendedKeyUsageExtension([OID.clientAuth]),
    subjectAltNameExtension([
      { type: "dns", value: host },
      { type: "uri", value: "urn:isthmus:device:42" },
      { type: "upn", value: "a@b.example" },
    ]),
    crlDistributionPointsExtension(["http://crl.example/1.crl"]),
    authorityInfoAccessExtension({ ocsp: ["http://ocsp.example"], caIssuers: [] }),
    sidExtension("S-1-5-21-1-2-3-500"),
  ];
  return testCertificate({ extensions, key: testRsaKey(), ...validity }, issuing);
}

function save(name: string, certificate: Certificate): void {
  writeFileSync(file(`${name}.pem`), derToPem(certificate.der, "CERTIFICATE"));
}

/** Runs openssl in the folder of files; words that name one are given by `file`. */
async function openssl(context: TestContext, ...words: string[]): Promise<string> {
  return (await runPeer(peer("openssl", context), words)).text;
}

describe("openssl reads what we write", () => {
  test("a chain, strictly, with path length and name constraints", async (context) => {
    const above = ["-x509_strict", "-CAfile", file("root.pem"), "-untrusted", file("issuing.pem")];
    const verified = await openssl(
      context,
      "verify",
      ...above,
      "-purpose",
      "sslclient",
      file("device.pem"),
    );
    expect(verified).toContain("device.pem: OK");
    const { certificate } = await deviceNamed("device.example.org");
    save("outside", certificate);
    await expect(openssl(context, "verify", ...above, file("outside.pem"))).rejects.toThrow(
      "permitted subtree violation",
    );
    const chain = () => buildChain(certificate, [issuing.certificate], [root.certificate], now);
    expect(chain).toThrow(expect.objectContaining({ code: "x509-chain-names" }));
  });

  test("every extension of a certificate", async (context) => {
    const text = await openssl(context, "x509", "-in", file("device.pem"), "-noout", "-text");
    for (const part of [
      "DNS:device.example.com, URI:urn:isthmus:device:42, othername: UPN::a@b.example",
      "Digital Signature, Key Encipherment",
      "TLS Web Client Authentication",
      "URI:http://crl.example/1.crl",
      "OCSP - URI:http://ocsp.example",
      "S-1-5-21-1-2-3-500",
    ]) {
      expect(text).toContain(part);
    }
    const ofIssuing = await openssl(context, "x509", "-in", file("issuing.pem"), "-noout", "-text");
    expect(ofIssuing).toContain("CA:TRUE, pathlen:0");
    expect(ofIssuing).toContain("DNS:example.com");
  });

  test("a request", async (context) => {
    const { subject } = device.certificate;
    const extensionRequest = [subjectAltNameExtension([{ type: "dns", value: "a.example" }])];
    const content = { subject, challengePassword: "secret", extensionRequest };
    const der = await encodeCertificationRequest(content, device.key);
    writeFileSync(file("device.csr"), derToPem(der, "CERTIFICATE REQUEST"));
    const text = await openssl(
      context,
      "req",
      "-in",
      file("device.csr"),
      "-verify",
      "-noout",
      "-text",
    );
    expect(text).toContain("verify OK");
    expect(text).toContain("DNS:a.example");
    expect(text).toMatch(/challengePassword\s*:secret/);
  });

  test("a revocation list, under which a revoked certificate fails", async (context) => {
    const empty = await listOf([]);
    const full = await listOf([device.certificate.serialNumber]);
    const check = async (list: Buffer) => {
      writeFileSync(file("list.pem"), derToPem(list, "X509 CRL"));
      const words = ["-CAfile", file("root.pem"), "-untrusted", file("issuing.pem")];
      const crl = ["-crl_check", "-CRLfile", file("list.pem")];
      return openssl(context, "verify", ...words, ...crl, file("device.pem"));
    };
    expect(await check(empty)).toContain("OK");
    await expect(check(full)).rejects.toThrow("certificate revoked");
    const text = await openssl(context, "crl", "-in", file("list.pem"), "-noout", "-text");
    expect(text).toContain("Key Compromise");
  });

  test("an OCSP answer to its own request", async (context) => {
    const names = ["-issuer", file("issuing.pem"), "-cert", file("device.pem")];
    await openssl(context, "ocsp", ...names, "-reqout", file("request.der"));
    const { certIds, nonce } = parseOcspRequest(readFileSync(file("request.der")));
    const [certId] = certIds;
    if (certId === undefined) throw new Error("it asks for nothing");
    expect(certId.der).toEqual(certIdFor(issuing.certificate, device.certificate.serialNumber).der);
    const { publicKeyInfo } = issuing.certificate;
    const der = await encodeOcspResponse({
      responses: [
        { certId, certStatus: { status: "good" }, thisUpdate: now, nextUpdate: now + HOUR_MS },
      ],
      producedAt: now,
      nonce,
      responder: { key: issuing.key, publicKeyInfo },
    });
    writeFileSync(file("response.der"), der);
    const bundle = file("bundle.pem");
    writeFileSync(
      bundle,
      readFileSync(file("root.pem"), "utf8") + readFileSync(file("issuing.pem"), "utf8"),
    );
    // Without -no_nonce openssl would put another nonce into the request that it has just read.
    const answer = ["-reqin", file("request.der"), "-respin", file("response.der"), "-no_nonce"];
    expect(nonce).toHaveLength(16);
    const text = await openssl(context, "ocsp", ...names, ...answer, "-CAfile", bundle);
    expect(text).toContain("Response verify OK");
    expect(text).toContain("device.pem: good");
  });

  test("SignedData", async (context) => {
    const der = await encodeSignedData({
      content: Buffer.from("signed content"),
      certificates: [device.certificate.der],
      signer: { certificate: device.certificate, privateKey: device.key },
      digest: "sha256",
      attributes: [],
    });
    writeFileSync(file("signed.der"), der);
    const words = ["-verify", "-inform", "DER", "-in", file("signed.der"), "-noverify"];
    await openssl(context, "cms", ...words, "-out", file("content"));
    expect(readFileSync(file("content"), "utf8")).toBe("signed content");
  });

  test.each([
    ["aes-128-cbc", { scheme: "pkcs1" }],
    ["aes-256-cbc", { scheme: "oaep", digest: "sha1" }],
    ["aes-256-cbc", { scheme: "oaep", digest: "sha256" }],
    ["des-ede3-cbc", { scheme: "pkcs1" }],
  ] as const)("an envelope with %s, %o", async (cipher, keyEncryption) => {
    const content = Buffer.from("sealed content");
    const of = { content, recipient: device.certificate, cipher, keyEncryption };
    writeFileSync(file("sealed.der"), encodeEnvelopedData(of, systemRandom));
    const words = ["-decrypt", "-inform", "DER", "-in", file("sealed.der"), "-out", file("opened")];
    const recipient = ["-recip", file("device.pem"), "-inkey", file("device.key")];
    await runPeer("openssl", ["cms", ...words, ...recipient]);
    expect(readFileSync(file("opened"))).toEqual(content);
  });

  test("certs-only", async (context) => {
    const der = encodeCertificatesOnly(
      [device.certificate.der, issuing.certificate.der],
      [await listOf([])],
    );
    writeFileSync(file("certs.p7"), der);
    const words = ["-inform", "DER", "-in", file("certs.p7"), "-print_certs", "-noout"];
    const text = await openssl(context, "pkcs7", ...words);
    expect(text).toMatch(/subject=CN = device[\s\S]*subject=O = Isthmus, CN = issuing/);
  });
});

async function listOf(serialNumbers: readonly string[]): Promise<Buffer> {
  const signatureAlgorithm = SIGNATURE.ecdsaWithSHA256;
  const tbs = encodeTbsCertificateList({
    issuer: issuing.certificate.subject,
    authorityKeyIdentifier: issuing.certificate.subjectKeyIdentifier ?? Buffer.alloc(0),
    thisUpdate: now,
    nextUpdate: now + HOUR_MS,
    crlNumber: 4097,
    revoked: serialNumbers.map((serialNumber) => ({
      serialNumber,
      revokedAt: now,
      reason: "keyCompromise",
    })),
    signatureAlgorithm,
  });
  return assembleSigned(tbs, signatureAlgorithm, await sign(signatureAlgorithm, tbs, issuing.key));
}

describe("we read what openssl writes", () => {
  test("a request", async (context) => {
    const words = ["-new", "-newkey", "rsa:2048", "-nodes", "-keyout", file("new.key")];
    const names = [
      "-subj",
      "/C=DE/O=Größe/CN=new",
      "-utf8",
      "-addext",
      "subjectAltName=DNS:b.example",
    ];
    await openssl(context, "req", ...words, ...names, "-out", file("new.csr"));
    const [der = Buffer.alloc(0)] = pemToDer(
      readFileSync(file("new.csr"), "utf8"),
      "CERTIFICATE REQUEST",
    );
    const request = parseCertificationRequest(der);
    expect(request.subject.der).toEqual(parseNameText("CN=new,O=Größe,C=DE").der);
    expect(request.requested.subjectAltNames).toEqual([{ type: "dns", value: "b.example" }]);
    expect(request.verifySignature()).toBe(true);
  });

  test.each([
    ["in DER", []],
    ["streamed as BER, in pieces of indefinite length", ["-stream"]],
  ])("SignedData %s", async (_, options) => {
    writeFileSync(file("plain"), Buffer.alloc(70_000, "x"));
    const signer = ["-signer", file("device.pem"), "-inkey", file("device.key")];
    const words = [
      "-sign",
      "-binary",
      "-nodetach",
      "-in",
      file("plain"),
      "-outform",
      "DER",
      ...options,
    ];
    await runPeer("openssl", ["cms", ...words, ...signer, "-out", file("theirs.der")]);
    const data = parseSignedData(readFileSync(file("theirs.der")));
    expect(data.content).toHaveLength(70_000);
    const [info] = data.signers;
    if (info === undefined) throw new Error("it has no signer");
    verifySigner(data, info, findSignerCertificate(data, info).publicKey());
  });

  test.each([
    ["AES-128 and PKCS#1 v1.5", ["-aes128"], []],
    ["AES-192 streamed as BER", ["-aes192", "-stream"], []],
    ["AES-256 and OAEP with SHA-1", ["-aes256"], ["-keyopt", "rsa_padding_mode:oaep"]],
    ["triple DES", ["-des3"], []],
    [
      "AES-256 and OAEP with SHA-256",
      ["-aes256"],
      ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"],
    ],
    ["a recipient named by key identifier", ["-aes256", "-keyid"], []],
  ])("an envelope with %s", async (_, cipher, options) => {
    const plain = Buffer.alloc(10_000, "y");
    writeFileSync(file("plain"), plain);
    const words = ["-encrypt", "-binary", "-in", file("plain"), "-outform", "DER", ...cipher];
    const to = ["-recip", file("device.pem"), ...options, "-out", file("theirs.der")];
    await runPeer("openssl", ["cms", ...words, ...to]);
    const envelope = parseEnvelopedData(readFileSync(file("theirs.der")), { allowLegacy: true });
    const found = sealedFor(envelope, [device.certificate]);
    if (found === undefined) throw new Error("it is not for the device");
    const { plaintext, isIntact } = openEnvelope(found.sealed, device.key);
    expect([Buffer.from(plaintext).equals(plain), isIntact]).toEqual([true, true]);
  });

  test("a revocation list and an OCSP answer of its own CA", async (context) => {
    writeFileSync(file("index.txt"), indexEntry());
    writeFileSync(file("crlnumber"), "1001\n");
    writeFileSync(file("issuing.key"), issuing.key.export({ type: "pkcs8", format: "pem" }));
    writeFileSync(file("ca.cnf"), configuration());
    const ca = [
      "-config",
      file("ca.cnf"),
      "-cert",
      file("issuing.pem"),
      "-keyfile",
      file("issuing.key"),
    ];
    await openssl(context, "ca", "-gencrl", ...ca, "-crldays", "7", "-out", file("theirs.crl"));
    const [der = Buffer.alloc(0)] = pemToDer(readFileSync(file("theirs.crl"), "utf8"), "X509 CRL");
    const list = parseCertificateList(der);
    expect(list.crlNumber).toBe(0x1001n);
    expect(list.revoked.get(device.certificate.serialNumber)?.reason).toBe("superseded");

    const responder = ["-index", file("index.txt"), "-CA", file("issuing.pem")];
    const signer = [
      "-rsigner",
      file("issuing.pem"),
      "-rkey",
      file("issuing.key"),
      "-resp_no_certs",
    ];
    const asked = ["-issuer", file("issuing.pem"), "-cert", file("device.pem"), "-no_nonce"];
    await openssl(context, "ocsp", ...asked, "-reqout", file("request.der"));
    const words = ["-reqin", file("request.der"), "-respout", file("theirs.ocsp"), "-ndays", "1"];
    await openssl(context, "ocsp", ...responder, ...signer, ...words);
    const response = parseOcspResponse(readFileSync(file("theirs.ocsp")));
    if (response.status !== "successful") throw new Error(response.status);
    const { serialNumber } = device.certificate;
    const single = verifyOcspResponse(response, {
      issuer: issuing.certificate,
      serialNumber,
      now: Date.now(),
    });
    expect(single.certStatus).toMatchObject({ status: "revoked", reason: "superseded" });
  });
});

/** A line of the index of `openssl ca`: the device's certificate, revoked. */
function indexEntry(): string {
  const at = (ms: number) => `${new Date(ms).toISOString().slice(2, 19).replace(/[-:T]/g, "")}Z`;
  const { notAfter, serialNumber } = device.certificate;
  const revoked = `${at(now - HOUR_MS)},superseded`;
  return `R\t${at(notAfter)}\t${revoked}\t${serialNumber.toUpperCase()}\tunknown\t/CN=device\n`;
}

function configuration(): string {
  return [
    "[ca]",
    "default_ca = main",
    "[main]",
    `database = ${file("index.txt")}`,
    `crlnumber = ${file("crlnumber")}`,
    "default_md = sha256",
    "crl_extensions = extensions",
    "[extensions]",
    "authorityKeyIdentifier = keyid",
    "",
  ].join("\n");
}
