import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { webhooks } from "@isthmus/cert-connector/config/webhooks";
import type { ScepAnswer } from "@isthmus/cert-connector/protocol/scep-client";
import { startConnector } from "@isthmus/cert-connector/testing/connector-under-test";
import { issued, makeRequest, ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { testAuthority, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { formatName, parseNameText } from "@isthmus/shared/x509/name-text";
import { derToPem } from "@isthmus/shared/x509/pem";
import { describe, expect, test } from "vitest";
import { DecisionService, type ServiceAnswer } from "./webhook/decision-service.ts";

const SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const GOOD = { allow: true, deviceId: "device-7", subject: "CN=device-7,O=Example" };
const HOUR_MS = 3_600_000;

async function start(
  of: {
    readonly service?: DecisionService;
    readonly webhook?: Record<string, unknown>;
    readonly profile?: Record<string, unknown>;
  } = {},
) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const secretFile = join(path, "webhook.secret");
  writeFileSync(secretFile, `${SECRET}\n`, { mode: 0o600 });
  const decisions = stack.use(of.service ?? (await DecisionService.start(SECRET)));
  decisions.decide(GOOD);
  const inventory = { url: `${decisions.url}/decide`, secretFile, ...of.webhook };
  const challenge = { kind: "webhook", name: "inventory" };
  const profiles = [{ id: "device", renewalWindowPercent: 100, challenge, ...of.profile }];
  const local = { webhooks: { inventory } };
  const connector = stack.use(await startConnector(profiles, { local }));
  const device = new ScepDevice(`${connector.url}/scep/device`);
  const begin = async (
    challengePassword = randomBytes(8).toString("hex"),
    name = "device says",
  ) => {
    const subject = parseNameText(`CN=what the ${name}`);
    const request = await makeRequest({ subject, challengePassword }, connector.clock.now());
    const { certificationRequest, signer } = request;
    return await device.begin({ messageType: "PKCSReq", certificationRequest }, signer);
  };
  return {
    ...{ ...connector, device, decisions, begin },
    enrol: async (challenge?: string, name?: string) =>
      await device.send(await begin(challenge, name)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function refusal(answer: ScepAnswer): string | undefined {
  return answer.status === "FAILURE" ? answer.failInfoText?.split(":")[0] : answer.status;
}

test("a device is whom the service says, and the service is asked once with all it needs", async () => {
  await using it = await start();
  const transaction = await it.begin("open sesame");
  const certificate = issued(await it.device.send(transaction));
  expect(formatName(certificate.subject)).toBe("CN=device-7,O=Example");
  expect(certificate.subjectAltNames).toEqual([
    { type: "uri", value: "urn:isthmus:device:device-7" },
  ]);
  expect(issued(await it.device.send(transaction)).der).toEqual(certificate.der);
  expect(it.decisions.messages).toHaveLength(1);
  const [{ id, content } = { id: "", content: undefined }] = it.decisions.messages;
  expect(content).toEqual({
    id,
    time: new Date(it.clock.now()).toISOString(),
    type: "certificate.requested",
    transactionId: transaction.transactionId,
    profileId: "device",
    csr: expect.stringMatching(/^MII/),
    challenge: "open sesame",
    requestedCommonName: "what the device says",
  });
});

test("variables of the service fill the profile's templates", async () => {
  const profile = {
    subject: { template: "CN={{deviceId}},OU={{DeviceName}},SERIALNUMBER={{SerialNumber}}" },
  };
  await using it = await start({ profile });
  const attributes = { deviceName: "Sales, EMEA", Device_Serial: "S1" };
  it.decisions.decide({ allow: true, deviceId: "d-1", attributes });
  expect(formatName(issued(await it.enrol()).subject)).toBe(
    "CN=d-1,OU=Sales\\, EMEA,serialNumber=S1",
  );
});

describe("no certificate", () => {
  test("with the service's reason, where it refuses", async () => {
    await using it = await start();
    it.decisions.decide({ allow: false, reason: "not in the inventory" });
    expect(await it.enrol()).toMatchObject({
      failInfoText: "challenge-refused: not in the inventory",
    });
  });

  test("for another request with the same challenge", async () => {
    await using it = await start();
    issued(await it.enrol("once"));
    expect(refusal(await it.enrol("once", "other says"))).toBe("challenge-used");
  });

  const wrong: readonly (readonly [string, ServiceAnswer, string])[] = [
    ["an answer that is no decision", { status: 200, body: "{}" }, "webhook-answer"],
    [
      "a key that is not known",
      { status: 200, body: '{"allow":true,"admin":true}' },
      "webhook-answer",
    ],
    ["no JSON", { status: 200, body: "<html>" }, "webhook-answer"],
    ["204", { status: 204 }, "webhook-answer"],
    ["404", { status: 404 }, "webhook-http"],
    ["a redirect", { status: 302, location: "/decide" }, "webhook-http"],
  ];
  test.each(wrong)("after %s", async (_what, answer, code) => {
    await using it = await start({ webhook: { retries: 0 } });
    it.decisions.answerNext(answer);
    expect(refusal(await it.enrol())).toBe(code);
    expect(it.decisions.messages).toHaveLength(1);
  });

  test("but a wish to come again, after more than can be an answer", async () => {
    await using it = await start({ webhook: { retries: 0 } });
    it.decisions.answerNext({ status: 200, body: "x".repeat(65_537) });
    await expect(it.enrol()).rejects.toThrow("HTTP 503: webhook-unreachable");
  });

  test("from a service with another secret, which the message tells by its signature", async () => {
    const service = await DecisionService.start(`whsec_${randomBytes(32).toString("base64")}`);
    await using it = await start({ service });
    expect(refusal(await it.enrol())).toBe("webhook-http");
    expect(service.messages).toEqual([]);
  });
});

test("a service that fails, hangs or breaks off is asked again with the same id", async () => {
  await using it = await start({ webhook: { timeoutMs: 2_000 } });
  it.decisions.answerNext({ status: 503 }, "cut");
  issued(await it.enrol());
  it.decisions.answerNext("hang");
  issued(await it.enrol());
  const ids = it.decisions.messages.map(({ id }) => id);
  expect(ids.slice(0, 3)).toEqual([ids[0], ids[0], ids[0]]);
  expect(ids.slice(3)).toEqual([ids[3], ids[3]]);
  expect(ids[3]).not.toBe(ids[0]);
});

test("a service over TLS is believed by the CA of the configuration alone", async () => {
  using folder = temporaryFolder();
  const times = { notBefore: Date.now() - HOUR_MS, notAfter: Date.now() + HOUR_MS };
  const ca = await testAuthority({ subject: "CN=Webhook CA", ...times });
  const extensions = [subjectAltNameExtension([{ type: "ip", value: "127.0.0.1" }])];
  const own = await testCertificate({ extensions, ...times }, ca);
  const tls = {
    key: String(own.key.export({ type: "pkcs8", format: "pem" })),
    cert: derToPem(own.certificate.der, "CERTIFICATE"),
  };
  const caFile = join(folder.path, "ca.pem");
  writeFileSync(caFile, derToPem(ca.certificate.der, "CERTIFICATE"));
  {
    const service = await DecisionService.start(SECRET, tls);
    await using it = await start({ service, webhook: { caFile } });
    issued(await it.enrol());
  }
  const service = await DecisionService.start(SECRET, tls);
  await using it = await start({ service, webhook: { retries: 0 } });
  await expect(it.enrol()).rejects.toThrow("HTTP 503: webhook-unreachable");
  expect(service.messages).toEqual([]);
});

describe("a service that wants to know", () => {
  test("hears of the certificate before the device has it", async () => {
    const service = await DecisionService.start(SECRET);
    await using it = await start({ service, webhook: { notifyUrl: `${service.url}/told` } });
    const transaction = await it.begin();
    service.answerNext({ status: 200, body: JSON.stringify(GOOD) }, ...Array(3).fill("cut"));
    expect((await it.device.send(transaction)).status).toBe("PENDING");
    it.clock.advance(HOUR_MS);
    const certificate = await until(async () => {
      const answer = await it.device.send(transaction);
      return answer.status === "SUCCESS" ? issued(answer) : undefined;
    }, "the certificate");
    const told = service.messages.filter(({ path }) => path === "/told");
    expect(told.at(-1)?.content).toMatchObject({
      type: "certificate.issued",
      transactionId: transaction.transactionId,
      certificateSerialNumber: certificate.serialNumber.toUpperCase(),
    });
  });

  test("hears of what was refused after it had allowed it", async () => {
    const service = await DecisionService.start(SECRET);
    const profile = { subject: "fromChallenge" };
    const webhook = { notifyUrl: `${service.url}/told` };
    await using it = await start({ service, webhook, profile });
    service.answerNext({ status: 200, body: '{"allow":true}' });
    expect(refusal(await it.enrol())).toBe("subject-missing");
    const told = await until(
      () => service.messages.find(({ path }) => path === "/told"),
      "the message",
    );
    expect(told.content).toMatchObject({ type: "certificate.failed", hResult: 0xa0040004 | 0 });
  });
});

test.each(["http://10.0.0.1/x", "http://localhost.example/x", "ftp://127.0.0.1/x", "https://a@b/"])(
  "a webhook at %s is refused in the configuration",
  (url) => {
    using folder = temporaryFolder();
    const secretFile = join(folder.path, "secret");
    writeFileSync(secretFile, SECRET, { mode: 0o600 });
    expect(webhooks.safeParse({ inventory: { url, secretFile } }).success).toBe(false);
  },
);
