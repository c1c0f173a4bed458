import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { parseCapabilities } from "@isthmus/cert-connector/protocol/scep-request";
import {
  encodeCertificatesOnly,
  parseSignedData,
} from "@isthmus/cert-connector/protocol/signed-data";
import { startConnector } from "@isthmus/cert-connector/testing/connector-under-test";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { verifyIssuedBy } from "@isthmus/shared/x509/chain";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerClass, openAnswer } from "../scep-clients/answer-class.ts";
import { appleChoice, windowsChoice } from "../scep-clients/ca-choice.ts";
import {
  CLIENTS,
  clientNamed,
  type EmulatedClient,
  type Enrolment,
  enrolmentMessage,
} from "../scep-clients/clients.ts";
import { sendRaw } from "../scep-clients/http-request.ts";
import { STATIC_PASSWORD, staticProfile } from "../scep-clients/static-profile.ts";

/**
 * The quirks of docs/cert-connector/scep-clients.md, each against the real service. The clients are emulated by the bytes
 * that they are documented to send; strongSwan, scepclient and certmonger are played for real in tests of their own.
 */

const PROFILES = [
  staticProfile("modern", { ndesPath: true }),
  staticProfile("legacy", { legacyAlgorithms: true }),
  staticProfile("single", { caCertificates: "single" }),
];

let site: Awaited<ReturnType<typeof startConnector>>;
let ra: Certificate;
beforeAll(async () => {
  site = await startConnector(PROFILES, { algorithm: "rsa-2048", isOwnRa: true });
  const [first] = parseSignedData((await caCert("/scep/modern")).body).certificates;
  if (first === undefined) throw new Error("no RA certificate");
  ra = parseCertificate(first);
});
afterAll(() => site?.[Symbol.asyncDispose]());

async function ask(path: string, query: string) {
  const response = await fetch(`${site.url}${path}?${query}`);
  const contentType = response.headers.get("content-type") ?? "";
  return { status: response.status, contentType, body: Buffer.from(await response.arrayBuffer()) };
}

const caCert = (path: string) => ask(path, "operation=GetCACert");
const newKey = () => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;

function enrolment(key: KeyObject, changes: Partial<Enrolment> = {}): Enrolment {
  return {
    recipient: ra,
    key,
    subject: `CN=device-${randomBytes(4).toString("hex")}`,
    challengePassword: STATIC_PASSWORD,
    now: site.kernel.clock.now(),
    noise: randomBytes,
    ...changes,
  };
}

/** Sends a client's enrolment as it would go over the wire. */
function enrol(client: EmulatedClient, of: Enrolment, path: string) {
  return sendRaw(site.url, client.http(enrolmentMessage(client, of), path));
}

describe.each(CLIENTS)("$name: $quirk", (client) => {
  const path = client.isLegacy ? "/scep/legacy" : "/scep/modern";

  test("enrols, and is answered with the algorithms that it used itself", async () => {
    const key = newKey();
    const answer = await enrol(client, enrolment(key), path);
    expect(answer.contentType).toBe("application/x-pki-message");
    const { certificate, keyEncryption, cipher } = openAnswer(answer, key);
    expect(cipher).toBe(client.envelope.cipher);
    expect(keyEncryption).toEqual(client.envelope.padding);
    expect(certificate.publicKeyInfo).toEqual(publicKeyInfoOf(key));
  });

  test("is refused with a challenge that is not the profile's, in an answer it can read", async () => {
    const of = enrolment(newKey(), { challengePassword: "guess" });
    const answer = await enrol(client, of, path);
    expect(answerClass(answer)).toBe("FAILURE badRequest challenge-invalid");
  });
});

describe.each(CLIENTS.filter(({ isLegacy }) => isLegacy))("$name", (client) => {
  test("is refused with badAlg where the profile does not allow old algorithms", async () => {
    const answer = await enrol(client, enrolment(newKey()), "/scep/modern");
    expect(answerClass(answer)).toMatch(/^FAILURE badAlg /);
  });
});

describe("Apple", () => {
  const apple = clientNamed("apple-ios");

  test("finds the RA by its key usages, and from it the way to the CA", async () => {
    const { contentType, body } = await caCert("/scep/modern");
    expect(contentType).toBe("application/x-x509-ca-ra-cert");
    const choice = appleChoice(contentType, body, site.kernel.clock.now());
    expect(choice.encryption.der).toEqual(ra.der);
    expect(choice.signing.der).toEqual(ra.der);
    expect(choice.ca.basicConstraints?.isCa).toBe(true);
  });

  test("would find none where GetCACert gave the CAs alone: the emulation of its choice can fail", async () => {
    const { body } = await caCert("/scep/modern");
    const [, , root] = parseSignedData(body).certificates;
    const alone = encodeCertificatesOnly(root === undefined ? [] : [root]);
    const now = site.kernel.clock.now();
    expect(() => appleChoice("application/x-x509-ca-ra-cert", alone, now)).toThrow("-67731");
  });

  test("gets one DER certificate where the profile is for it, and enrols with that alone", async () => {
    const { contentType, body } = await caCert("/scep/single");
    expect(contentType).toBe("application/x-x509-ca-cert");
    const { ca, encryption } = appleChoice(contentType, body, site.kernel.clock.now());
    expect(ca.basicConstraints?.isCa).toBe(true);
    const key = newKey();
    const answer = await enrol(apple, enrolment(key, { recipient: encryption }), "/scep/single");
    const { certificate } = openAnswer(answer, key);
    expect(verifyIssuedBy(certificate, ca)).toBe(true);
    const [signer] = parseSignedData(answer.body).certificates;
    expect(signer).toEqual(ca.der);
  });

  test("an envelope to the RA is refused under the profile whose CA is its own RA, and the reverse", async () => {
    const { body } = await caCert("/scep/single");
    const ca = parseCertificate(body);
    const toRa = await enrol(apple, enrolment(newKey()), "/scep/single");
    expect(answerClass(toRa)).toBe("FAILURE badRequest scep-recipient");
    const toCa = await enrol(apple, enrolment(newKey(), { recipient: ca }), "/scep/modern");
    expect(answerClass(toCa)).toBe("FAILURE badRequest scep-recipient");
  });

  test("macOS renews by PKCSReq without a challenge, signed with its certificate", async () => {
    const key = newKey();
    const subject = "CN=mac-1";
    const first = await enrol(apple, enrolment(key, { subject }), "/scep/modern");
    const { certificate } = openAnswer(first, key);
    const newer = newKey();
    const signer = { certificate, privateKey: key };
    const renewal = { subject, challengePassword: undefined, signer };
    const second = await enrol(apple, enrolment(newer, renewal), "/scep/modern");
    // The answer is sealed to who signed, and certifies the new key.
    const renewed = openAnswer(second, key).certificate;
    expect(renewed.publicKeyInfo).toEqual(publicKeyInfoOf(newer));
    expect(renewed.subject.der).toEqual(certificate.subject.der);
  });

  test("iOS finds the capabilities that it requires: Renewal, a SHA-2 and AES", async () => {
    const { contentType, body } = await ask("/scep/modern", "operation=GetCACaps");
    expect(contentType).toBe("text/plain");
    const offered = parseCapabilities(body.toString());
    for (const needed of ["Renewal", "SHA-256", "SHA-512", "AES", "POSTPKIOperation"] as const) {
      expect(offered).toContain(needed);
    }
  });
});

describe("Windows", () => {
  test.each([
    "/certsrv/mscep/mscep.dll",
    "/certsrv/mscep/mscep.dll/pkiclient.exe",
    "/CertSrv/mscep/MSCEP.DLL/pkiclient.exe",
  ])("finds an RA that it takes under %s", async (path) => {
    const { body } = await caCert(path);
    expect(windowsChoice(body).encryption.der).toEqual(ra.der);
  });

  test("enrols under NDES's path", async () => {
    const key = newKey();
    const client = clientNamed("windows-oaep-absent");
    const answer = await enrol(client, enrolment(key), "/certsrv/mscep/mscep.dll");
    openAnswer(answer, key);
  });

  test("its own certificate may have a critical authority key identifier", () => {
    const key = newKey();
    const message = enrolmentMessage(clientNamed("windows-pkcs1"), enrolment(key));
    const [own] = parseSignedData(message).certificates.map(parseCertificate);
    const extension = own?.extensions.find(({ oid }) => oid === OID.authorityKeyIdentifier);
    expect(extension?.critical).toBe(true);
  });
});

describe("Cisco IOS and certmonger", () => {
  test.each(["message=trustpoint", "message=0", "message=1", "message=CAIdentifier"])(
    "an identifier of the CA (%s) is passed over",
    async (identifier) => {
      const { status, contentType } = await ask(
        "/scep/modern",
        `operation=GetCACert&${identifier}`,
      );
      expect([status, contentType]).toEqual([200, "application/x-x509-ca-ra-cert"]);
      const caps = await ask("/scep/modern", `operation=GetCACaps&${identifier}`);
      expect(caps.body.toString()).toContain("SHA-256");
    },
  );

  test("below /cgi-bin/pkiclient.exe of a profile its address goes on", async () => {
    const { status } = await caCert("/scep/legacy/cgi-bin/pkiclient.exe");
    expect(status).toBe(200);
  });
});

test.each(["modern", "legacy"])(
  "MD5, which old IOS prefers, is badAlg under %s",
  async (profile) => {
    const ios = clientNamed("cisco-ios");
    const client = { ...ios, signature: { ...ios.signature, digest: "md5" } } as const;
    const answer = await enrol(client, enrolment(newKey()), `/scep/${profile}`);
    expect(answerClass(answer)).toBe("FAILURE badAlg cms-digest-algorithm");
  },
);

test("strongSwan 5.9.8 finds an empty line after the first capability", async () => {
  const { body } = await ask("/scep/modern", "operation=GetCACaps");
  expect(body.toString()).toMatch(/^[^\n]+\n\n/);
});
