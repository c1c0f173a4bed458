import { readFileSync, writeFileSync } from "node:fs";
import { encodeEnvelopedData } from "@isthmus/cert-connector/protocol/enveloped-data";
import {
  encodeCertificatesOnly,
  encodeSignedData,
} from "@isthmus/cert-connector/protocol/signed-data";
import { systemRandom } from "@isthmus/shared/random";
import { assembleSigned } from "@isthmus/shared/x509/certificate";
import { encodeTbsCertificateList } from "@isthmus/shared/x509/certificate-list";
import { encodeCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { buildChain } from "@isthmus/shared/x509/chain";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { certIdFor, parseOcspRequest } from "@isthmus/shared/x509/ocsp-request";
import { encodeOcspResponse } from "@isthmus/shared/x509/ocsp-response";
import { derToPem } from "@isthmus/shared/x509/pem";
import { SIGNATURE, sign } from "@isthmus/shared/x509/signature";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type OpensslWorkshop, openssl, opensslWorkshop } from "./openssl-workshop.ts";

const HOUR_MS = 3_600_000;
let shop: OpensslWorkshop;
beforeAll(async () => {
  shop = await opensslWorkshop();
});
afterAll(() => shop?.[Symbol.dispose]());

const file = (name: string) => shop.file(name);

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
    const { certificate } = await shop.deviceNamed("device.example.org");
    shop.save("outside", certificate);
    await expect(openssl(context, "verify", ...above, file("outside.pem"))).rejects.toThrow(
      "permitted subtree violation",
    );
    const chain = () =>
      buildChain(certificate, [shop.issuing.certificate], [shop.root.certificate], shop.now);
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
    const { subject } = shop.device.certificate;
    const extensionRequest = [subjectAltNameExtension([{ type: "dns", value: "a.example" }])];
    const content = { subject, challengePassword: "secret", extensionRequest };
    const der = await encodeCertificationRequest(content, shop.device.key);
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
    const full = await listOf([shop.device.certificate.serialNumber]);
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
    expect(certId.der).toEqual(
      certIdFor(shop.issuing.certificate, shop.device.certificate.serialNumber).der,
    );
    const { publicKeyInfo } = shop.issuing.certificate;
    const der = await encodeOcspResponse({
      responses: [
        {
          certId,
          certStatus: { status: "good" },
          thisUpdate: shop.now,
          nextUpdate: shop.now + HOUR_MS,
        },
      ],
      producedAt: shop.now,
      nonce,
      responder: { key: shop.issuing.key, publicKeyInfo },
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
      certificates: [shop.device.certificate.der],
      signer: { certificate: shop.device.certificate, privateKey: shop.device.key },
      digest: "sha256",
      attributes: [],
    });
    writeFileSync(file("signed.der"), der);
    const words = ["-verify", "-inform", "DER", "-in", file("signed.der"), "-noverify"];
    await openssl(context, "cms", ...words, "-out", file("content"));
    expect(readFileSync(file("content"), "utf8")).toBe("signed content");
  });

  test.for([
    ["aes-128-cbc", { scheme: "pkcs1" }],
    ["aes-256-cbc", { scheme: "oaep", digest: "sha1" }],
    ["aes-256-cbc", { scheme: "oaep", digest: "sha256" }],
    ["des-ede3-cbc", { scheme: "pkcs1" }],
  ] as const)("an envelope with %s, %o", async ([cipher, keyEncryption], context) => {
    const content = Buffer.from("sealed content");
    const of = { content, recipient: shop.device.certificate, cipher, keyEncryption };
    writeFileSync(file("sealed.der"), encodeEnvelopedData(of, systemRandom));
    const words = ["-decrypt", "-inform", "DER", "-in", file("sealed.der"), "-out", file("opened")];
    const recipient = ["-recip", file("device.pem"), "-inkey", file("device.key")];
    await openssl(context, "cms", ...words, ...recipient);
    expect(readFileSync(file("opened"))).toEqual(content);
  });

  test("certs-only", async (context) => {
    const der = encodeCertificatesOnly(
      [shop.device.certificate.der, shop.issuing.certificate.der],
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
    issuer: shop.issuing.certificate.subject,
    authorityKeyIdentifier: shop.issuing.certificate.subjectKeyIdentifier ?? Buffer.alloc(0),
    thisUpdate: shop.now,
    nextUpdate: shop.now + HOUR_MS,
    crlNumber: 4097,
    revoked: serialNumbers.map((serialNumber) => ({
      serialNumber,
      revokedAt: shop.now,
      reason: "keyCompromise",
    })),
    signatureAlgorithm,
  });
  return assembleSigned(
    tbs,
    signatureAlgorithm,
    await sign(signatureAlgorithm, tbs, shop.issuing.key),
  );
}
