import { readFileSync, writeFileSync } from "node:fs";
import { openEnvelope } from "@isthmus/cert-connector/protocol/envelope-opening";
import { parseEnvelopedData, sealedFor } from "@isthmus/cert-connector/protocol/enveloped-data";
import { parseSignedData } from "@isthmus/cert-connector/protocol/signed-data";
import {
  findSignerCertificate,
  verifySigner,
} from "@isthmus/cert-connector/protocol/signer-verification";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { parseCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { parseOcspResponse } from "@isthmus/shared/x509/ocsp-response";
import { verifyOcspResponse } from "@isthmus/shared/x509/ocsp-verification";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type OpensslWorkshop, openssl, opensslWorkshop } from "./openssl-workshop.ts";

const HOUR_MS = 3_600_000;
let shop: OpensslWorkshop;
beforeAll(async () => {
  shop = await opensslWorkshop();
});
afterAll(() => shop?.[Symbol.dispose]());

const file = (name: string) => shop.file(name);

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

  test.for<[string, string[]]>([
    ["in DER", []],
    ["streamed as BER, in pieces of indefinite length", ["-stream"]],
  ])("SignedData %s", async ([, options], context) => {
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
    await openssl(context, "cms", ...words, ...signer, "-out", file("theirs.der"));
    const data = parseSignedData(readFileSync(file("theirs.der")));
    expect(data.content).toHaveLength(70_000);
    const [info] = data.signers;
    if (info === undefined) throw new Error("it has no signer");
    verifySigner(data, info, findSignerCertificate(data, info).publicKey());
  });

  test.for<[string, string[], string[]]>([
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
  ])("an envelope with %s", async ([, cipher, options], context) => {
    const plain = Buffer.alloc(10_000, "y");
    writeFileSync(file("plain"), plain);
    const words = ["-encrypt", "-binary", "-in", file("plain"), "-outform", "DER", ...cipher];
    const to = ["-recip", file("device.pem"), ...options, "-out", file("theirs.der")];
    await openssl(context, "cms", ...words, ...to);
    const envelope = parseEnvelopedData(readFileSync(file("theirs.der")), { allowLegacy: true });
    const found = sealedFor(envelope, [shop.device.certificate]);
    if (found === undefined) throw new Error("it is not for the device");
    const { plaintext, isIntact } = openEnvelope(found.sealed, shop.device.key);
    expect([Buffer.from(plaintext).equals(plain), isIntact]).toEqual([true, true]);
  });

  test("a revocation list and an OCSP answer of its own CA", async (context) => {
    writeFileSync(file("index.txt"), indexEntry());
    writeFileSync(file("crlnumber"), "1001\n");
    writeFileSync(file("issuing.key"), shop.issuing.key.export({ type: "pkcs8", format: "pem" }));
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
    expect(list.revoked.get(shop.device.certificate.serialNumber)?.reason).toBe("superseded");

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
    const { serialNumber } = shop.device.certificate;
    const single = verifyOcspResponse(response, {
      issuer: shop.issuing.certificate,
      serialNumber,
      now: Date.now(),
    });
    expect(single.certStatus).toMatchObject({ status: "revoked", reason: "superseded" });
  });
});

/** A line of the index of `openssl ca`: the device's certificate, revoked. */
function indexEntry(): string {
  const at = (ms: number) => `${new Date(ms).toISOString().slice(2, 19).replace(/[-:T]/g, "")}Z`;
  const { notAfter, serialNumber } = shop.device.certificate;
  const revoked = `${at(shop.now - HOUR_MS)},superseded`;
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
