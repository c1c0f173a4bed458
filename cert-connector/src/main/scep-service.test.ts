import { generateKeyPairSync } from "node:crypto";
import {
  basicConstraintsExtension,
  extendedKeyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { formatName, parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { describe, expect, test } from "vitest";
import { readScepAnswer, type ScepAnswer } from "../protocol/scep-client.ts";
import type { ScepSigner } from "../protocol/scep-writer.ts";
import { type KernelParts, startConnector } from "../testing/connector-under-test.ts";
import {
  deviceKey,
  issued,
  makeChallenge,
  makeRequest,
  ScepDevice,
} from "../testing/scep-device.ts";

const DAY_MS = 86_400_000;

async function startService(profile: Record<string, unknown> = {}, parts: KernelParts = {}) {
  const it = await startConnector([{ id: "device", renewalWindowPercent: 100, ...profile }], parts);
  const device = new ScepDevice(`${it.url}/scep/device`);
  const enrol = async (challengePassword: string | undefined, subject = "CN=whatever") => {
    const content = {
      subject: parseNameText(subject),
      ...(challengePassword !== undefined && { challengePassword }),
    };
    return await device.enrol(await makeRequest(content, it.clock.now()));
  };
  return { ...it, device, enrol };
}

/** The code that a refused device reads. */
function refusal(answer: ScepAnswer): string | undefined {
  return answer.status === "FAILURE" ? answer.failInfoText?.split(":")[0] : answer.status;
}

/** Signs with a certificate of ours, as for a renewal. */
function signerOf(answer: ScepAnswer): ScepSigner {
  return { certificate: issued(answer), privateKey: deviceKey() };
}

describe("enrolment", () => {
  test("a device with a challenge gets what profile and challenge decide", async () => {
    await using it = await startService();
    const certificate = issued(await it.enrol(await it.challenge(), "CN=administrator,O=Evil"));
    expect(formatName(certificate.subject)).toBe("CN=device-1,O=Example");
    expect(certificate.subjectAltNames).toEqual([
      { type: "uri", value: "urn:isthmus:device:device-1" },
      { type: "upn", value: "ada@example.com" },
    ]);
    expect(certificate.extendedKeyUsage).toEqual([OID.clientAuth]);
  });

  test("CA:true, OCSPSigning and names in the request are not copied to the certificate", async () => {
    await using it = await startService();
    const challengePassword = await it.challenge();
    const sid = "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-500";
    const extensionRequest = [
      basicConstraintsExtension({ isCa: true }),
      extendedKeyUsageExtension([OID.ocspSigning, OID.timeStamping]),
      subjectAltNameExtension([
        { type: "uri", value: sid },
        { type: "uri", value: "urn:isthmus:device:device-2" },
        { type: "dns", value: "dc.example.com" },
      ]),
    ];
    const request = await makeRequest(
      { challengePassword, extensionRequest },
      it.kernel.clock.now(),
    );
    const certificate = issued(await it.device.enrol(request));
    expect(certificate.basicConstraints).toEqual({ isCa: false });
    expect(certificate.extendedKeyUsage).toEqual([OID.clientAuth]);
    expect(certificate.subjectAltNames.map(({ value }) => value)).toEqual([
      "urn:isthmus:device:device-1",
      "ada@example.com",
    ]);
  });

  test("the same message again gets the same certificate, after the challenge's end too", async () => {
    await using it = await startService();
    const challengePassword = await it.challenge();
    const request = await makeRequest({ challengePassword }, it.kernel.clock.now());
    const first = issued(await it.device.enrol(request));
    const second = issued(await it.device.enrol(request));
    it.kernel.clock.advance(DAY_MS);
    const third = issued(await it.device.enrol(request));
    expect([second.thumbprint, third.thumbprint]).toEqual([first.thumbprint, first.thumbprint]);
  });

  test("sixty-four requests at once: each gets its own, none fails", async () => {
    await using it = await startService({}, { local: { envelopeThreads: 1 } });
    const answers = await Promise.all(
      Array.from({ length: 64 }, async () => it.enrol(await it.challenge())),
    );
    const serials = new Set(answers.map((answer) => issued(answer).serialNumber));
    expect(serials.size).toBe(64);
  });

  test("GET with the message in the address works as POST does", async () => {
    await using it = await startService();
    const challengePassword = await it.challenge();
    const { certificationRequest, signer } = await makeRequest(
      { challengePassword },
      it.kernel.clock.now(),
    );
    const begun = await it.device.begin({ messageType: "PKCSReq", certificationRequest }, signer);
    const message = encodeURIComponent(begun.message.toString("base64"));
    const url = `${it.url}/scep/device?operation=PKIOperation&message=${message}`;
    const response = await fetch(url);
    expect(response.headers.get("content-type")).toBe("application/x-pki-message");
    const got = issued(readScepAnswer(Buffer.from(await response.arrayBuffer()), begun));
    expect(issued(await it.device.send(begun)).thumbprint).toBe(got.thumbprint);
  });

  test("an EC authority issues through its RSA RA, an RSA one too", async () => {
    await using it = await startService({}, { algorithm: "rsa-2048" });
    const [ra, issuing, root] = await it.device.caCertificates();
    expect(ra?.keyUsage).toEqual(["digitalSignature", "keyEncipherment"]);
    expect(ra?.extendedKeyUsage).not.toHaveLength(0);
    expect(issuing?.basicConstraints).toEqual({ isCa: true, pathLength: 0 });
    expect(issuing?.extendedKeyUsage).toBeUndefined();
    expect(root?.basicConstraints).toEqual({ isCa: true, pathLength: 1 });
    expect(issued(await it.enrol(await it.challenge())).issuer.der).toEqual(issuing?.subject.der);
  });
});

describe("refusals", () => {
  test.each([
    ["no challenge", undefined, "challenge-missing"],
    ["an empty challenge", "", "challenge-missing"],
    ["a guess", "password", "challenge-invalid"],
  ])("enrolment is not open: %s", async (_what, password, code) => {
    await using it = await startService();
    expect(refusal(await it.enrol(password))).toBe(code);
  });

  test("a challenge of another key, profile, connector or time is refused", async () => {
    await using it = await startService();
    const now = it.kernel.clock.now();
    const other = generateKeyPairSync("ed25519").privateKey;
    const code = async (challenge: Promise<string>) => refusal(await it.enrol(await challenge));
    expect(await code(makeChallenge(other, now))).toBe("challenge-invalid");
    expect(await code(it.challenge({ profileId: "other" }))).toBe("challenge-profile");
    expect(await code(it.challenge({ aud: "another-connector" }))).toBe("challenge-invalid");
    expect(await code(it.challenge({ exp: now }))).toBe("challenge-expired");
    expect(await code(it.challenge({ iat: now + 301_000 }))).toBe("challenge-invalid");
    expect(await code(it.challenge({ exp: now + 8 * DAY_MS }))).toBe("challenge-invalid");
    expect(await code(it.challenge({ exp: now + 1 }))).toBe("SUCCESS");
  });

  test("a challenge that was used is refused to another request", async () => {
    await using it = await startService();
    const challenge = await it.challenge();
    issued(await it.enrol(challenge, "CN=first"));
    expect(refusal(await it.enrol(challenge, "CN=second"))).toBe("challenge-used");
  });

  test("the guardrails hold against a challenge that is signed by the cloud", async () => {
    const rules = { subjects: ["CN=device-1,O=Example"] };
    await using it = await startService({}, { rules });
    issued(await it.enrol(await it.challenge()));
    const hostile = await it.challenge({ subject: "CN=administrator" });
    expect(refusal(await it.enrol(hostile))).toBe("guardrail");
    const sid = { type: "uri", value: "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-500" };
    const impersonating = await it.challenge({ subjectAltNames: [sid] });
    expect(refusal(await it.enrol(impersonating))).toBe("sid-unproven");
  });

  test("a configuration beyond the guardrails is refused, and the last good one stays", async () => {
    await using it = await startService();
    await expect(it.configure({ id: "device", validityDays: 399 })).rejects.toMatchObject({
      code: "guardrail",
      rule: "certificates.maxValidityDays",
    });
    await expect(it.configure({ id: "device", ca: "other" })).rejects.toMatchObject({
      code: "configuration-invalid",
    });
    issued(await it.enrol(await it.challenge()));
  });

  test("each refusal is told to the cloud with its code, and in the audit with its rule", async () => {
    await using it = await startService();
    await it.enrol("password");
    await it.enrol(await it.challenge({ profileId: "other" }));
    const rows = await it.kernel.store.query<{ entry: string }>(
      "SELECT entry FROM stream_entry WHERE stream = 'issuance' ORDER BY position",
      [],
      10,
    );
    const codes = rows.map(({ entry }) => JSON.parse(entry).error.code);
    expect(codes).toEqual(["challenge-invalid", "challenge-profile"]);
    expect(rows.every(({ entry }) => !entry.includes("password"))).toBe(true);
    expect(it.kernel.woken).toContain("issuance");
  });

  test("nothing is signed while the clocks are over five minutes apart", async () => {
    await using it = await startService();
    it.kernel.setLink({ clockOffsetMs: -300_001 });
    expect(refusal(await it.enrol(await it.challenge()))).toBe("clock-offset");
    it.kernel.setLink({ clockOffsetMs: 300_000 });
    issued(await it.enrol(await it.challenge()));
  });

  test("nothing is signed while the clock is behind the last issuance", async () => {
    await using it = await startService();
    issued(await it.enrol(await it.challenge()));
    it.kernel.clock.advance(-31_000);
    const answer = await it.enrol(await it.challenge());
    expect(refusal(answer)).toBe("clock-behind");
    expect(answer).toMatchObject({ failInfo: "badTime" });
  });
});

describe("renewal", () => {
  test("with the old certificate gives a new one of the same identity", async () => {
    await using it = await startService();
    const old = signerOf(await it.enrol(await it.challenge()));
    const request = await makeRequest(
      { subject: parseNameText("CN=mallory") },
      it.kernel.clock.now(),
    );
    const renewed = issued(await it.device.renew(request, old));
    expect(renewed.serialNumber).not.toBe(old.certificate.serialNumber);
    expect(formatName(renewed.subject)).toBe("CN=device-1,O=Example");
    expect(renewed.subjectAltNames).toEqual(old.certificate.subjectAltNames);
  });

  test("as PKCSReq without challenge, as macOS sends it, is a renewal too", async () => {
    await using it = await startService();
    const signer = signerOf(await it.enrol(await it.challenge()));
    const request = await makeRequest({}, it.kernel.clock.now());
    issued(await it.device.enrol({ ...request, signer }));
  });

  test("outside its window, of a revoked certificate or with a certificate of one's own is refused", async () => {
    await using it = await startService({ renewalWindowPercent: 20 });
    const old = signerOf(await it.enrol(await it.challenge()));
    const request = await makeRequest({}, it.kernel.clock.now());
    expect(refusal(await it.device.renew(request, old))).toBe("renewal-too-early");
    expect(refusal(await it.device.renew(request, request.signer))).toBe("renewal-unknown");
    const { serialNumber } = old.certificate;
    await it.service.controls?.["certificate.revoke"]?.({ serialNumber, reason: "superseded" });
    expect(refusal(await it.device.renew(request, old))).toBe("renewal-revoked");
  });

  test("a renewal through another profile is refused", async () => {
    await using it = await startService();
    const old = signerOf(await it.enrol(await it.challenge()));
    await it.configure({ id: "device" }, { id: "other", renewalWindowPercent: 100 });
    const other = new ScepDevice(`${it.url}/scep/other`);
    const request = await makeRequest({}, it.kernel.clock.now());
    expect(refusal(await other.renew(request, old))).toBe("renewal-profile");
  });
});

test("the health of profiles counts one profile as one", async () => {
  await using it = await startService();
  const check = it.kernel.checks.find(({ name }) => name === "profiles");
  expect(await check?.run()).toEqual({ status: "healthy", reason: "1 profile" });
  await it.configure({ id: "device" }, { id: "other" });
  expect(await check?.run()).toEqual({ status: "healthy", reason: "2 profiles" });
});
