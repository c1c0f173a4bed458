import { generateKeyPairSync } from "node:crypto";
import { copyFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { commandContext } from "@isthmus/shared/testing/command-context";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { certIdFor, encodeOcspRequest } from "@isthmus/shared/x509/ocsp-request";
import { parseOcspResponse } from "@isthmus/shared/x509/ocsp-response";
import { verifyOcspResponse } from "@isthmus/shared/x509/ocsp-verification";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { verify } from "@isthmus/shared/x509/signature";
import { describe, expect, test } from "vitest";
import type { ScepWish } from "../protocol/scep-client.ts";
import { startConnector } from "../testing/connector-under-test.ts";
import { issued, makeRequest, ScepDevice } from "../testing/scep-device.ts";

const HOUR_MS = 3_600_000;

async function startService(
  profile: Record<string, unknown> = {},
  prepare?: (caFolder: string) => void,
) {
  const it = await startConnector([{ id: "device", ...profile }], prepare && { prepare });
  const { service } = it;
  const device = new ScepDevice(`${it.url}/scep/device`);
  const [, issuing] = await device.caCertificates();
  if (issuing === undefined) throw new Error("no issuing CA");
  const keyId = keyIdentifierOf(issuing.publicKeyInfo).toString("hex");
  const request = async () => {
    return await makeRequest({ challengePassword: await it.challenge() }, it.clock.now());
  };
  const ask = async (wish: ScepWish) => {
    const { signer } = await makeRequest({}, it.clock.now());
    return await device.send(await device.begin(wish, signer));
  };
  const control = (name: string, argument: unknown) =>
    service.controls?.[name]?.(argument) as Promise<Record<string, unknown>>;
  return { ...it, device, issuing, keyId, request, ask, control };
}
type Service = Awaited<ReturnType<typeof startService>>;

async function get(url: string, init?: RequestInit) {
  const response = await fetch(url, init);
  return { response, body: Buffer.from(await response.arrayBuffer()) };
}

describe("approval", () => {
  test("a device polls until a person has approved, and then has its certificate", async () => {
    await using it = await startService({ approval: true });
    const request = await it.request();
    const first = await it.device.begin(
      { messageType: "PKCSReq", certificationRequest: request.certificationRequest },
      request.signer,
    );
    expect(await it.device.send(first)).toEqual({ status: "PENDING" });
    const subject = parseNameText("CN=whatever-the-device-says");
    const issuerAndSubject = { issuer: it.issuing.subject, subject };
    const poll = async (signer = request.signer) => {
      const { transactionId } = first;
      const wish = { messageType: "CertPoll", issuerAndSubject, transactionId } as const;
      return await it.device.send(await it.device.begin(wish, signer));
    };
    expect(await poll()).toEqual({ status: "PENDING" });
    const [waiting] = (await it.control("request.list", {})) as unknown as { id: number }[];
    await it.control("request.approve", { pendingId: waiting?.id });
    const certificate = issued(await poll());
    expect(issued(await it.device.send(first)).thumbprint).toBe(certificate.thumbprint);
    expect(await it.control("request.list", {})).toEqual([]);
    const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const { signer } = await makeRequest({ subject }, it.kernel.clock.now(), stranger);
    expect(await poll(signer)).toMatchObject({ status: "FAILURE", failInfo: "badCertId" });
  });

  test("what a person rejected is refused", async () => {
    await using it = await startService({ approval: true });
    const request = await it.request();
    expect(await it.device.enrol(request)).toEqual({ status: "PENDING" });
    const [waiting] = (await it.control("request.list", {})) as unknown as { id: number }[];
    const rejected = await it.control("request.reject", { pendingId: waiting?.id });
    expect(rejected).toMatchObject({ state: "rejected" });
    expect(await it.device.enrol(request)).toMatchObject({ status: "FAILURE" });
    await expect(it.control("request.approve", { pendingId: waiting?.id })).rejects.toMatchObject({
      code: "request-unknown",
    });
  });
});

describe("queries", () => {
  test("GetCert gives a certificate by its serial number, badCertId for others", async () => {
    await using it = await startService();
    const certificate = issued(await it.device.enrol(await it.request()));
    const { issuer, serialNumber } = certificate;
    const wish = { messageType: "GetCert", issuerAndSerial: { issuer, serialNumber } } as const;
    expect(issued(await it.ask(wish)).thumbprint).toBe(certificate.thumbprint);
    for (const issuerAndSerial of [
      { issuer, serialNumber: "01" },
      { issuer: parseNameText("CN=Another CA"), serialNumber },
    ]) {
      const answer = await it.ask({ messageType: "GetCert", issuerAndSerial });
      expect(answer).toMatchObject({ status: "FAILURE", failInfo: "badCertId" });
    }
  });

  test("GetCRL gives the list in force", async () => {
    await using it = await startService();
    const issuerAndSerial = { issuer: it.issuing.subject, serialNumber: "01" };
    const answer = await it.ask({ messageType: "GetCRL", issuerAndSerial });
    if (answer.status !== "SUCCESS") throw new Error("no list");
    const [list = Buffer.alloc(0)] = answer.certificateLists;
    expect(parseCertificateList(list).issuer.der).toEqual(it.issuing.subject.der);
  });

  test("GetNextCACert is offered and answered only where a CA is to follow", async () => {
    await using without = await startService();
    const next = "/scep/device?operation=GetNextCACert";
    expect((await get(without.url + next)).response.status).toBe(404);
    await using it = await startService({}, (folder) =>
      copyFileSync(join(folder, "issuing.pem"), join(folder, "next.pem")),
    );
    const { response } = await get(it.url + next);
    expect(response.headers.get("content-type")).toBe("application/x-x509-next-ca-cert");
    const caps = await get(`${it.url}/scep/device?operation=GetCACaps`);
    expect(caps.body.toString().split("\n")).toContain("GetNextCACert");
  });

  test("old algorithms are offered by profiles that allow them alone", async () => {
    await using it = await startService();
    const caps = (await get(`${it.url}/scep/device?operation=GetCACaps`)).body.toString();
    expect(caps).not.toMatch(/DES3|SHA-1$/m);
    await using legacy = await startService({ legacyAlgorithms: true });
    const old = (await get(`${legacy.url}/scep/device?operation=GetCACaps`)).body.toString();
    expect(old).toMatch(/^DES3$/m);
    expect(old).toMatch(/^SHA-1$/m);
  });

  test.each(["", "/pkiclient.exe"])("NDES's own path answers, with%s", async (end) => {
    await using it = await startService({ ndesPath: true });
    const device = new ScepDevice(`${it.url}/certsrv/mscep/mscep.dll${end}`);
    issued(await device.enrol(await it.request()));
  });
});

describe("HTTP", () => {
  test("what does not parse gets 400, what is not there 404, what is no method of SCEP 405", async () => {
    await using it = await startService();
    const path = `${it.url}/scep/device?operation=PKIOperation`;
    const status = async (url: string, init?: RequestInit) =>
      (await get(url, init)).response.status;
    expect(await status(path, { method: "POST", body: "no DER" })).toBe(400);
    expect(await status(path)).toBe(400);
    expect(await status(`${it.url}/scep/device?operation=Fly`)).toBe(400);
    expect(await status(`${it.url}/scep/other?operation=GetCACaps`)).toBe(404);
    expect(await status(`${it.url}/certsrv/mscep/mscep.dll?operation=GetCACaps`)).toBe(404);
    expect(await status(path, { method: "DELETE" })).toBe(405);
  });

  test("a body of the largest size is read, one octet more is refused and not cut", async () => {
    await using it = await startService();
    const path = `${it.url}/scep/device?operation=PKIOperation`;
    const send = async (length: number) =>
      (await get(path, { method: "POST", body: new Uint8Array(length) })).response.status;
    expect(await send(131_072)).toBe(400);
    expect(await send(131_073)).toBe(413);
    expect(await send(1_000_000)).toBe(413);
  });

  test("a request that is never finished does not hold up a stop", async () => {
    const it = await startService();
    const { port, hostname } = new URL(it.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      "POST /scep/device?operation=PKIOperation HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    );
    await new Promise((done) => socket.once("connect", done));
    const closed = new Promise((done) => socket.once("close", done));
    socket.on("error", () => undefined);
    await it[Symbol.asyncDispose]();
    await closed;
  });
});

describe("revocation", () => {
  const ocsp = async (it: Service, certificate: Certificate, nonce?: Buffer) => {
    const { serialNumber } = certificate;
    const question = { issuer: it.issuing, serialNumber, nonce, now: it.kernel.clock.now() };
    const certIds = [certIdFor(it.issuing, serialNumber)];
    const der = encodeOcspRequest({ certIds, ...(nonce !== undefined && { nonce }) });
    const { response, body } = await get(`${it.url}/ocsp/${it.keyId}`, {
      method: "POST",
      body: new Uint8Array(der),
    });
    const parsed = parseOcspResponse(body);
    if (parsed.status !== "successful") throw new Error(parsed.status);
    return { response, der, body, ...verifyOcspResponse(parsed, question), nonce: parsed.nonce };
  };
  const list = async (it: Service) => {
    const { response, body } = await get(`${it.url}/crl/${it.keyId}.crl`);
    const parsed = parseCertificateList(body);
    const { tbs, signature, signatureAlgorithm } = parsed;
    expect(verify(signatureAlgorithm, tbs, signature, it.issuing.publicKey())).toBe(true);
    return { response, ...parsed };
  };

  test("a command of the cloud puts a certificate on a new list and into OCSP before it ends", async () => {
    await using it = await startService();
    const certificate = issued(await it.device.enrol(await it.request()));
    const { serialNumber } = certificate;
    const before = await list(it);
    expect(before.revoked.size).toBe(0);
    expect((await ocsp(it, certificate)).certStatus).toEqual({ status: "good" });
    const command = it.service.commands["certificate.revoke"];
    const context = commandContext({ id: "1", signal: it.kernel.signal });
    const payload = { serialNumber, reason: "keyCompromise" };
    const revoked = await command?.run(payload, context);
    expect(revoked).toEqual({ serialNumber, state: "revoked" });
    const after = await list(it);
    const at = it.kernel.clock.now();
    expect(after.revoked.get(serialNumber)).toEqual({ revokedAt: at, reason: "keyCompromise" });
    expect(after.crlNumber).toBeGreaterThan(before.crlNumber ?? 0n);
    expect((await ocsp(it, certificate)).certStatus).toMatchObject({ status: "revoked" });
    expect(await command?.run(payload, context)).toMatchObject({ state: "already-revoked" });
    await expect(
      command?.run({ serialNumber: "ff", reason: "unspecified" }, context),
    ).rejects.toMatchObject({ code: "certificate-unknown" });
  });

  test("twenty revocations at once are all on the list when each ends", async () => {
    await using it = await startService();
    const certificates = await Promise.all(
      Array.from({ length: 20 }, async () => issued(await it.device.enrol(await it.request()))),
    );
    await Promise.all(
      certificates.map(async ({ serialNumber }) => {
        await it.control("certificate.revoke", { serialNumber, reason: "superseded" });
        expect((await list(it)).revoked.has(serialNumber)).toBe(true);
      }),
    );
  });

  test("OCSP repeats a nonce and may not be cached then; without one it may", async () => {
    await using it = await startService();
    const certificate = issued(await it.device.enrol(await it.request()));
    const nonce = Buffer.alloc(16, 7);
    const fresh = await ocsp(it, certificate, nonce);
    expect(fresh.nonce).toEqual(nonce);
    expect(fresh.response.headers.get("cache-control")).toBe("no-store");
    const cacheable = await ocsp(it, certificate);
    expect(cacheable.response.headers.get("cache-control")).toBe("public, max-age=300");
    const path = encodeURIComponent(cacheable.der.toString("base64"));
    const { response, body } = await get(`${it.url}/ocsp/${it.keyId}/${path}`);
    expect(response.headers.get("content-type")).toBe("application/ocsp-response");
    expect(parseOcspResponse(body).status).toBe("successful");
  });

  test("an answer without nonce is given again for half of its time", async () => {
    await using it = await startService();
    const certificate = issued(await it.device.enrol(await it.request()));
    const first = await ocsp(it, certificate);
    it.kernel.clock.advance(149_000);
    const again = await ocsp(it, certificate);
    expect(again.body.equals(first.body)).toBe(true);
    expect(again.response.headers.get("cache-control")).toBe("public, max-age=151");
    it.kernel.clock.advance(1_000);
    const later = await ocsp(it, certificate);
    expect(later.body.equals(first.body)).toBe(false);
    expect(later.response.headers.get("cache-control")).toBe("public, max-age=300");
  });

  test("what was never issued is unknown, another CA's is not for us to say", async () => {
    await using it = await startService();
    const certificate = issued(await it.device.enrol(await it.request()));
    const unknown = { ...certificate, serialNumber: "41".repeat(20) } as Certificate;
    expect((await ocsp(it, unknown)).certStatus).toEqual({ status: "unknown" });
    const foreign = encodeOcspRequest({ certIds: [certIdFor(certificate, "01")] });
    const ask = (body: Uint8Array) =>
      get(`${it.url}/ocsp/${it.keyId}`, { method: "POST", body: new Uint8Array(body) });
    expect(parseOcspResponse((await ask(foreign)).body).status).toBe("unauthorized");
    expect(parseOcspResponse((await ask(Buffer.from("x"))).body).status).toBe("malformedRequest");
  });

  test("OCSP answers are signed by a certificate that is renewed before it ends", async () => {
    await using it = await startService();
    const certificate = issued(await it.device.enrol(await it.request()));
    it.kernel.clock.advance(200 * HOUR_MS);
    expect((await ocsp(it, certificate)).certStatus).toEqual({ status: "good" });
  });

  test("CA certificates are published under their key identifiers, and nothing under others", async () => {
    await using it = await startService();
    const { body } = await get(`${it.url}/ca/${it.keyId}.cer`);
    expect(body).toEqual(it.issuing.der);
    const other = "0".repeat(40);
    for (const path of [`/ca/${other}.cer`, `/crl/${other}.crl`, `/ocsp/${other}`]) {
      expect((await get(it.url + path)).response.status).toBe(404);
    }
  });
});
