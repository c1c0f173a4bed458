import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAuthority } from "@isthmus/cert-connector/ca/create-authority";
import { parsePkiMessage, readNonce } from "@isthmus/cert-connector/protocol/scep-message";
import { parseSignedData } from "@isthmus/cert-connector/protocol/signed-data";
import { startConnector } from "@isthmus/cert-connector/testing/connector-under-test";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { encodeCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { generalizedTime, octetString, time } from "@isthmus/shared/x509/der-writer";
import {
  basicConstraintsExtension,
  type Extension,
  extendedKeyUsageExtension,
  keyUsageExtension,
} from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { type DistinguishedName, firstValue } from "@isthmus/shared/x509/name";
import { formatName, parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { derToPem, pemToDer } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerClass, openAnswer } from "../scep-clients/answer-class.ts";
import { clientNamed, type Enrolment, enrolmentMessage } from "../scep-clients/clients.ts";
import { postRequest, sendRaw } from "../scep-clients/http-request.ts";
import { STATIC_PASSWORD, staticProfile } from "../scep-clients/static-profile.ts";

/** Faults that certificate services shipped and had to mend, each tried on the real service over HTTP. */

const DAY_MS = 86_400_000;
const SIGNING_TIME = "1.2.840.113549.1.9.5";
const client = clientNamed("strongswan");
const newKey = () => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;

type Site = Awaited<ReturnType<typeof startConnector>>;
let site: Site;
let key: KeyObject;
beforeAll(async () => {
  key = newKey();
  const rules = { maxValidityDays: 398, extendedKeyUsage: ["clientAuth"] };
  site = await startConnector(
    [staticProfile("closed"), { id: "device", renewalWindowPercent: 100 }],
    { rules },
  );
});
afterAll(() => site?.[Symbol.asyncDispose]());

async function caCertificates(of: Site = site): Promise<Certificate[]> {
  const response = await fetch(`${of.url}/scep/closed?operation=GetCACert`);
  const body = Buffer.from(await response.arrayBuffer());
  return parseSignedData(body).certificates.map(parseCertificate);
}

async function enrolmentOf(changes: Partial<Enrolment> = {}, of: Site = site): Promise<Enrolment> {
  const [recipient] = await caCertificates(of);
  if (recipient === undefined) throw new Error("no RA certificate");
  return {
    recipient,
    key,
    subject: `CN=device-${randomBytes(4).toString("hex")}`,
    challengePassword: STATIC_PASSWORD,
    now: of.kernel.clock.now(),
    noise: randomBytes,
    ...changes,
  };
}

/** Each call is a transaction of its own. */
async function enrol(changes: Partial<Enrolment> = {}, of: Site = site, profile = "closed") {
  const transactionId = randomBytes(8).toString("hex");
  const attributes = { transactionId, ...changes.attributes };
  const enrolment = await enrolmentOf({ ...changes, attributes }, of);
  const message = enrolmentMessage(client, enrolment);
  return await sendRaw(of.url, client.http(message, `/scep/${profile}`));
}

async function issued(changes: Partial<Enrolment> = {}, of: Site = site): Promise<Certificate> {
  return openAnswer(await enrol(changes, of), changes.signer?.privateKey ?? key).certificate;
}

function commonNames({ attributes }: DistinguishedName): string[] {
  return attributes
    .flat()
    .filter(({ type }) => type === OID.commonName)
    .map(({ value }) => value);
}

/** A request that asks for these extensions. */
async function wishing(extensionRequest: readonly Extension[]): Promise<Buffer> {
  const subject = parseNameText("CN=device-1");
  return await encodeCertificationRequest(
    { subject, challengePassword: STATIC_PASSWORD, extensionRequest },
    key,
  );
}

const audit = async (event: string) => {
  const rows = await site.kernel.store.query<{ payload: string }>(
    "SELECT payload FROM audit_journal WHERE event = ? ORDER BY idx DESC",
    [event],
    20,
  );
  return rows.map(({ payload }) => JSON.parse(payload));
};

describe("what a request asks for", () => {
  test("CA:true in the request does not make a CA", async () => {
    const request = await wishing([
      basicConstraintsExtension({ isCa: true, pathLength: 3 }),
      keyUsageExtension(["keyCertSign", "cRLSign"]),
    ]);
    const certificate = await issued({ breakRequest: () => request });
    expect(certificate.basicConstraints).toEqual({ isCa: false });
    expect(certificate.keyUsage).toEqual(["digitalSignature", "keyEncipherment"]);
  });

  test("OCSPSigning and timeStamping in the request are not in the certificate", async () => {
    const purposes = [OID.ocspSigning, OID.timeStamping, "2.5.29.37.0"];
    const request = await wishing([extendedKeyUsageExtension(purposes)]);
    const certificate = await issued({ breakRequest: () => request });
    expect(certificate.extendedKeyUsage).toEqual([OID.clientAuth]);
    for (const extendedKeyUsage of [["ocspSigning"], ["timeStamping"], ["anyExtendedKeyUsage"]]) {
      await expect(
        (async () => site.configure(staticProfile("closed", { extendedKeyUsage })))(),
      ).rejects.toThrow();
    }
  });

  test("of several common names one is believed, and the same one is recorded", async () => {
    const certificate = await issued({ subject: "CN=device-a+OU=x,CN=administrator,O=Evil" });
    const [name, ...others] = commonNames(certificate.subject);
    expect(others).toEqual([]);
    const [record] = await audit("enrolment.issued");
    expect(record.subject).toBe(formatName(certificate.subject));
    expect(record.deviceId).toBe(name);
    expect(certificate.subjectAltNames[0]?.value).toBe(`urn:isthmus:device:${name}`);
  });
});

describe("who may enrol", () => {
  test("without a challenge nobody, whatever the configuration leaves out", async () => {
    const none = await enrol({ challengePassword: undefined });
    expect(answerClass(none)).toBe("FAILURE badRequest challenge-missing");
    // A profile that says nothing of challenges has signed ones.
    const silent = await enrol({ challengePassword: undefined }, site, "device");
    expect(answerClass(silent)).toBe("FAILURE badRequest challenge-missing");
    const empty = await enrol({ challengePassword: "" });
    expect(answerClass(empty)).toBe("FAILURE badRequest challenge-missing");
  });

  test("the end of a challenge is applied, not only written down", async () => {
    const now = site.kernel.clock.now();
    const until = (exp: number) => site.challenge({ iat: now - 60_000, exp });
    const late = await enrol({ challengePassword: await until(now - 1) }, site, "device");
    expect(answerClass(late)).toBe("FAILURE badRequest challenge-expired");
    const inTime = await enrol({ challengePassword: await until(now + 1_000) }, site, "device");
    expect(answerClass(inTime)).toBe("SUCCESS");
  });

  test("headers of a proxy that speak of a client certificate prove nothing", async () => {
    const certificate = await issued();
    const pem = encodeURIComponent(derToPem(certificate.der, "CERTIFICATE"));
    const enrolment = await enrolmentOf({ challengePassword: undefined });
    const plain = postRequest(enrolmentMessage(client, enrolment), "/scep/closed", "proxy");
    const headers = [
      `X-Client-Cert: ${pem}`,
      `X-SSL-Client-Cert: ${pem}`,
      `X-Forwarded-Client-Cert: Cert="${pem}"`,
      `X-ARR-ClientCert: ${certificate.der.toString("base64")}`,
      `Client-Cert: :${certificate.der.toString("base64")}:`,
      "X-SSL-Client-Verify: SUCCESS",
      "X-Forwarded-For: 127.0.0.1",
    ];
    const at = plain.indexOf("User-Agent");
    const text = Buffer.from(`${headers.join("\r\n")}\r\n`);
    const request = Buffer.concat([plain.subarray(0, at), text, plain.subarray(at)]);
    expect(answerClass(await sendRaw(site.url, request))).toBe(
      "FAILURE badRequest challenge-missing",
    );
  });

  test("a signer is found by what the message names, not as the first certificate that came along", async () => {
    const victim = await issued({ subject: "CN=victim" });
    const attacker = { attributes: { otherCertificates: [victim.der] } };
    const renewal = { ...attacker, challengePassword: undefined, messageType: "17" } as const;
    const refused = await enrol({ ...renewal, key: newKey() });
    expect(answerClass(refused)).toBe("FAILURE badRequest renewal-unknown");
    // With a challenge the foreign certificate is of no account, and the answer is for who signed.
    const fresh = newKey();
    const answer = await enrol({ ...attacker, key: fresh, subject: "CN=honest" });
    expect(firstValue(openAnswer(answer, fresh).certificate.subject, OID.commonName)).toBe(
      "honest",
    );
  });
});

describe("what is strict where clients are not", () => {
  test.each<[string, Buffer | undefined]>([
    ["no senderNonce", undefined],
    ["a senderNonce of 8 octets", Buffer.alloc(8, 7)],
    ["a senderNonce of 32 octets", Buffer.alloc(32, 7)],
  ])("%s is served", async (_what, senderNonce) => {
    const answer = await enrol({ attributes: { senderNonce } });
    expect(answerClass(answer)).toBe("SUCCESS");
    const { signerInfo } = parsePkiMessage(answer.body);
    expect(readNonce(signerInfo, OID.scepRecipientNonce)).toEqual(senderNonce);
  });

  test.each<[string, (now: number) => Buffer]>([
    ["ten years ago", (now) => time(now - 3_650 * DAY_MS)],
    ["next year", (now) => time(now + 365 * DAY_MS)],
    ["as GeneralizedTime", (now) => generalizedTime(now)],
    ["that is no time", () => octetString(Buffer.from("yesterday"))],
  ])("a signingTime %s is not looked at", async (_what, signingTime) => {
    const now = site.kernel.clock.now();
    const further = [[SIGNING_TIME, signingTime(now)] as const];
    expect(answerClass(await enrol({ attributes: { further } }))).toBe("SUCCESS");
  });

  test("the client's senderNonce is not echoed as our own", async () => {
    const senderNonce = randomBytes(16);
    const answers = [await enrol({ attributes: { senderNonce } }), await enrol()];
    answers.push(await enrol({ challengePassword: "guess", attributes: { senderNonce } }));
    const own = answers.map(({ body }) => parsePkiMessage(body).senderNonce?.toString("hex"));
    expect(own).not.toContain(senderNonce.toString("hex"));
    expect(new Set(own).size).toBe(3);
    expect(own.every((nonce) => nonce?.length === 32)).toBe(true);
  });
});

describe("limits", () => {
  test("a message that is too long is refused, and never cut and read", async () => {
    const enrolment = await enrolmentOf();
    const message = enrolmentMessage(client, enrolment);
    // The message is whole within the limit; what follows would fall to a reader that stops there.
    const long = Buffer.concat([message, Buffer.alloc(131_073 - message.length)]);
    expect(answerClass(await sendRaw(site.url, client.http(long, "/scep/closed")))).toBe(
      "HTTP 413",
    );
    const trailing = Buffer.concat([message, Buffer.alloc(1)]);
    const refused = await sendRaw(site.url, client.http(trailing, "/scep/closed"));
    expect(answerClass(refused)).toBe("HTTP 400");
  });

  test("a name that is too long is refused, and never cut", async () => {
    const answer = await enrol({ subject: `CN=${"a".repeat(129)}` });
    expect(answerClass(answer)).toMatch(/^FAILURE badRequest /);
  });
});

describe("books", () => {
  test("each refusal is on record with its code and rule, and without the secret", async () => {
    const transactionId = randomBytes(8).toString("hex");
    await enrol({ challengePassword: "hunter2", attributes: { transactionId } });
    const records = await audit("enrolment.failed");
    const record = records.find((each) => each.transactionId === transactionId);
    expect(record).toMatchObject({
      profileId: "closed",
      error: { code: "challenge-invalid" },
      rule: "profile.challenge",
    });
    expect(JSON.stringify(records)).not.toContain("hunter2");
  });

  test("fifty devices at once have fifty serial numbers, and none fails", async () => {
    const certificates = await Promise.all(Array.from({ length: 50 }, () => issued()));
    expect(new Set(certificates.map(({ serialNumber }) => serialNumber)).size).toBe(50);
  });
});

describe("the issuing CA", () => {
  test("has no extended key usage that would bind the certificates below it", async () => {
    const [, issuing, root] = await caCertificates();
    expect(issuing?.extendedKeyUsage).toBeUndefined();
    expect(root?.extendedKeyUsage).toBeUndefined();
  });

  test("with serverAuth alone signs no client certificate that nobody would take", async () => {
    using folder = temporaryFolder();
    const ca = await makeAuthority(folder.path);
    await addToIssuing(ca, [extendedKeyUsageExtension([OID.serverAuth])]);
    await using bound = await startConnector([staticProfile("closed")], { local: { ca } });
    expect(answerClass(await enrol({}, bound))).toMatch(/^FAILURE badRequest lint/);
  });

  test("with name constraints renews what it has issued", async () => {
    using folder = temporaryFolder();
    const ca = await makeAuthority(folder.path, ["example.com"]);
    const names = [{ type: "dns", template: "{{deviceId}}.example.com" }];
    const profile = staticProfile("closed", { subjectAltNames: names });
    await using bound = await startConnector([profile], { local: { ca } });
    const first = await issued({ subject: "CN=laptop" }, bound);
    expect(first.subjectAltNames.map(({ value }) => value)).toContain("laptop.example.com");
    const signer = { certificate: first, privateKey: key };
    const renewal = { subject: "CN=laptop", challengePassword: undefined, signer };
    const renewed = await issued({ ...renewal, key: newKey(), messageType: "17" }, bound);
    expect(renewed.subjectAltNames).toEqual(first.subjectAltNames);
  });
});

async function makeAuthority(folder: string, permitted: readonly string[] = []) {
  const passphraseFile = join(folder, "passphrase");
  writeFileSync(passphraseFile, "correct horse", { mode: 0o600 });
  const ca = { folder: join(folder, "ca"), passphraseFile };
  await createAuthority({
    name: "Bound",
    algorithm: "ec-p256",
    folder: ca.folder,
    passphrase: "correct horse",
    rootKeyFile: join(folder, "root.key.pem"),
    rootPassphrase: "correct horse",
    permitted: permitted.map((value) => ({ type: "dns", value })),
    clock: new FakeClock(),
    random: systemRandom,
  });
  return ca;
}

/** Issues the issuing CA's certificate again, for the same key, with more in it. */
async function addToIssuing(ca: { readonly folder: string }, further: readonly Extension[]) {
  const read = (name: string) => {
    const [der] = pemToDer(readFileSync(join(ca.folder, name), "utf8"), "CERTIFICATE");
    return parseCertificate(der ?? Buffer.alloc(0));
  };
  const [root, issuing] = [read("root.pem"), read("issuing.pem")];
  const pem = readFileSync(join(ca.folder, "../root.key.pem"));
  const rootKey = createPrivateKey({ key: pem, passphrase: "correct horse" });
  const der = await issueCertificate({
    subject: issuing.subject,
    issuer: { name: root.subject, key: rootKey },
    publicKeyInfo: issuing.publicKeyInfo,
    validity: { notBefore: issuing.notBefore, notAfter: issuing.notAfter },
    serialNumber: issuing.serialNumber,
    extensions: [...issuing.extensions, ...further],
  });
  expect(publicKeyInfoOf(rootKey)).toEqual(root.publicKeyInfo);
  writeFileSync(join(ca.folder, "issuing.pem"), derToPem(der, "CERTIFICATE"));
}
