import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import { systemRandom } from "@isthmus/shared/random";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  encodeCertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { keyUsageExtension } from "@isthmus/shared/x509/extensions";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseEnvelopedData, sealedFor } from "../protocol/enveloped-data.ts";
import { parsePkiMessage, verifyPkiMessage } from "../protocol/scep-message.ts";
import { encodeCertRep, type ScepResult, type ScepSigner } from "../protocol/scep-writer.ts";
import { encodeCertificatesOnly } from "../protocol/signed-data.ts";
import { MAX_ANSWER_BYTES } from "./remote-answer.ts";
import type { RemoteOrder } from "./remote-order.ts";
import { ScepBackEnd } from "./scep-back-end.ts";

let authority: TestIdentity;
let ra: TestIdentity;
let device: TestIdentity;
let us: ScepSigner;
const stack: (() => void)[] = [];
afterEach(() => {
  for (const close of stack.splice(0)) close();
});

beforeAll(async () => {
  authority = await testAuthority({ subject: "CN=Upstream", key: testRsaKey() });
  const usages = keyUsageExtension(["digitalSignature", "keyEncipherment"]);
  const of = {
    subject: "CN=Upstream RA",
    key: testRsaKey(),
    serialNumber: "02",
    extensions: [usages],
  };
  ra = await testCertificate(of, authority);
  device = await testCertificate({ subject: "CN=device-1", serialNumber: "03" }, authority);
  const signer = await testCertificate({ subject: "CN=us", key: testRsaKey() });
  us = { certificate: signer.certificate, privateKey: signer.key };
});

const success = (...certificates: TestIdentity[]): ScepResult => ({
  status: "SUCCESS",
  certificates: certificates.map(({ certificate }) => certificate.der),
  cipher: "aes-256-cbc",
  keyEncryption: { scheme: "pkcs1" },
});

interface Upstream {
  readonly capabilities?: string;
  readonly certificates?: readonly TestIdentity[];
  readonly signer?: TestIdentity;
  /** By message type; undefined answers 500. */
  readonly answer: (messageType: string) => ScepResult | undefined;
}

/** A SCEP server that answers so, and the types of message it got. */
async function upstream(of: Upstream) {
  const seen: string[] = [];
  const server = createServer(async (request, response) => {
    const query = new URL(request.url ?? "", "http://x").searchParams;
    if (query.get("operation") === "GetCACaps") {
      response.end(of.capabilities ?? "SCEPStandard\nPOSTPKIOperation\n");
      return;
    }
    if (query.get("operation") === "GetCACert") {
      const all = (of.certificates ?? [authority, ra]).map(({ certificate }) => certificate.der);
      response.writeHead(200, { "content-type": "application/x-x509-ca-ra-cert" });
      response.end(encodeCertificatesOnly(all));
      return;
    }
    const text = query.get("message");
    const body =
      text === null ? Buffer.concat(await request.toArray()) : Buffer.from(text, "base64");
    const message = verifyPkiMessage(parsePkiMessage(body), { allowLegacy: true });
    const envelope = parseEnvelopedData(message.signedData.content, { allowLegacy: true });
    if (sealedFor(envelope, [ra.certificate]) === undefined) {
      response.writeHead(400).end("it is not encrypted to the RA");
      return;
    }
    seen.push(`${request.method} ${message.messageType} ${message.transactionId.slice(0, 8)}`);
    const result = of.answer(message.messageType);
    if (result === undefined) {
      response.writeHead(500).end();
      return;
    }
    const { certificate, key: privateKey } = of.signer ?? ra;
    response.end(await encodeCertRep(message, result, { certificate, privateKey }, systemRandom));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stack.push(
    () => void server.close(),
    () => server.closeAllConnections(),
  );
  const http = new OutboundHttp({
    urls: [`http://127.0.0.1:${(server.address() as AddressInfo).port}/scep`],
    timeoutMs: 10_000,
    maxAnswerBytes: MAX_ANSWER_BYTES,
  });
  const backEnd = (legacyAlgorithms = false) =>
    new ScepBackEnd({
      http,
      signer: us,
      chain: [authority.certificate],
      legacyAlgorithms,
      random: systemRandom,
    });
  return { seen, backEnd };
}

async function order(changes: Partial<RemoteOrder> = {}): Promise<RemoteOrder> {
  const der = await encodeCertificationRequest({ subject: device.certificate.subject }, device.key);
  return {
    serialNumber: "0a",
    planned: parseCertificate(device.certificate.der),
    request: parseCertificationRequest(der),
    requestPem: "",
    isRepeated: false,
    reference: undefined,
    signal: AbortSignal.timeout(10_000),
    ...changes,
  };
}

describe("a signer looked up as the first certificate", () => {
  test("is not how the certificate of an answer is found: it is the one for the device's key", async () => {
    const it = await upstream({ answer: () => success(authority, ra, device) });
    const answer = await it.backEnd().issue(await order());
    expect(answer).toEqual({ kind: "issued", certificate: device.certificate.der });
  });

  test("is not what an answer without that key amounts to", async () => {
    const it = await upstream({ answer: () => success(ra, authority) });
    const backEnd = it.backEnd();
    const issue = async () => backEnd.issue(await order());
    expect(await rejectedCode(issue)).toBe("ca-answer");
  });

  test("is not whom requests are encrypted to: that is the RA, wherever it stands", async () => {
    for (const certificates of [
      [ra, authority],
      [authority, ra],
    ]) {
      const it = await upstream({ certificates, answer: () => success(device) });
      expect(await it.backEnd().issue(await order())).toMatchObject({ kind: "issued" });
    }
  });
});

describe("another SCEP server", () => {
  test("may sign its answers with another certificate than requests are encrypted to", async () => {
    const signer = await testCertificate(
      {
        subject: "CN=Signs",
        key: testRsaKey(),
        serialNumber: "04",
        extensions: [keyUsageExtension(["digitalSignature"])],
      },
      authority,
    );
    const certificates = [ra, signer, authority];
    const it = await upstream({ certificates, signer, answer: () => success(device) });
    expect(await it.backEnd().issue(await order())).toMatchObject({ kind: "issued" });
  });

  test("whose answer is signed by somebody else is not believed", async () => {
    const signer = await testCertificate({ subject: "CN=Else", key: testRsaKey() });
    const it = await upstream({ signer, answer: () => success(device) });
    const backEnd = it.backEnd();
    expect(await rejectedCode(async () => backEnd.issue(await order()))).toBe("scep-answer");
  });

  test("is asked by GET where it takes no POST", async () => {
    const it = await upstream({ capabilities: "AES\nSHA-256", answer: () => success(device) });
    await it.backEnd().issue(await order());
    expect(it.seen).toEqual([expect.stringMatching(/^GET PKCSReq /)]);
  });

  test("without AES and SHA-256 is asked only where legacyAlgorithms allows it", async () => {
    const it = await upstream({ capabilities: "DES3", answer: () => success(device) });
    const [strict, legacy] = [it.backEnd(), it.backEnd(true)];
    expect(await rejectedCode(async () => strict.issue(await order()))).toBe("ca-answer");
    expect(await legacy.issue(await order())).toMatchObject({ kind: "issued" });
  });

  test("that decides later is polled in the same transaction", async () => {
    const it = await upstream({ answer: () => ({ status: "PENDING" }) });
    const backEnd = it.backEnd();
    const first = await backEnd.issue(await order());
    const reference = first.kind === "pending" ? first.reference : undefined;
    expect(reference).toMatch(/^[0-9a-f]{64}$/);
    expect(await backEnd.issue(await order({ isRepeated: true, reference }))).toEqual(first);
    const id = reference?.slice(0, 8);
    expect(it.seen).toEqual([`POST PKCSReq ${id}`, `POST CertPoll ${id}`]);
  });

  test.each<[string, ScepResult | undefined]>([
    ["knows nothing of it", { status: "FAILURE", failInfo: "badCertId" }],
    ["has no such message", undefined],
  ])("that is polled and %s gets the request again", async (_, polled) => {
    const it = await upstream({
      answer: (type) => (type === "CertPoll" ? polled : success(device)),
    });
    const again = await order({ isRepeated: true, reference: "ab".repeat(32) });
    expect(await it.backEnd().issue(again)).toMatchObject({ kind: "issued" });
  });

  test("that refuses says why", async () => {
    const failure = {
      status: "FAILURE",
      failInfo: "badRequest",
      failInfoText: "no such device",
    } as const;
    const it = await upstream({ answer: () => failure });
    expect(await it.backEnd().issue(await order())).toEqual({
      kind: "refused",
      code: "ca-refused",
      message: "the SCEP server refuses: badRequest (no such device)",
    });
  });
});
