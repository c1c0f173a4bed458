import { hash } from "node:crypto";
import type { ScepAnswer } from "@isthmus/cert-connector/protocol/scep-client";
import { issued } from "@isthmus/cert-connector/testing/scep-device";
import { testRsaKey } from "@isthmus/shared/testing/certificate-authority";
import { until } from "@isthmus/shared/testing/until";
import { formatName, parseNameText } from "@isthmus/shared/x509/name-text";
import { describe, expect, test } from "vitest";
import { SID_URI, startIntuneConnector } from "./intune/intune-connector.ts";

const PROFILE = { subject: "CN=device-1,O=Contoso", subjectAltNames: [] };
const HOUR_MS = 3_600_000;

function refusal(answer: ScepAnswer): string | undefined {
  return answer.status === "FAILURE" ? answer.failInfoText?.split(":")[0] : answer.status;
}

describe("a device that Intune vouches for", () => {
  test("gets the names of its Intune profile, its SID too, after Intune was told", async () => {
    const rules = { securityIdentifiers: ["S-1-5-21-.*"] };
    await using it = await startIntuneConnector({ rules });
    const names = [
      { type: "upn", value: "ada@contoso.example" },
      { type: "uri", value: SID_URI },
    ];
    const certificate = issued(await it.enrol({ ...PROFILE, subjectAltNames: names }));
    expect(formatName(certificate.subject)).toBe(formatName(parseNameText(PROFILE.subject)));
    expect(certificate.subjectAltNames).toEqual(names);
    expect(it.simulator.violations).toEqual([]);
    const [{ event, body } = { event: undefined, body: undefined }] = it.simulator.notifications;
    expect(event).toBe("success");
    expect(body).toMatchObject({
      certificateThumbprint: hash("sha1", certificate.der, "hex").toUpperCase(),
      certificateSerialNumber: certificate.serialNumber.toUpperCase(),
      certificateExpirationDateUtc: new Date(certificate.notAfter).toISOString(),
      issuingCertificateAuthority: formatName(certificate.issuer),
      caConfiguration: "embedded",
      callerInfo: expect.stringMatching(/^Isthmus cert-connector \d/),
    });
  });

  test("and believes its common name as device id only where the profile says so", async () => {
    const challenge = { kind: "intune", tenant: "contoso", deviceId: "requestedCommonName" };
    await using it = await startIntuneConnector({ profile: { challenge } });
    const certificate = issued(await it.enrol(PROFILE));
    expect(certificate.subjectAltNames).toEqual([
      { type: "uri", value: "urn:isthmus:device:device-1" },
    ]);
  });

  test("asks again, with everything as before, and Intune is not asked a second time", async () => {
    await using it = await startIntuneConnector();
    const { transaction } = await it.begin(PROFILE);
    const first = issued(await it.device.send(transaction));
    const second = issued(await it.device.send(transaction));
    expect(second.der).toEqual(first.der);
    expect(it.simulator.timesAsked("/validateRequest")).toBe(1);
    expect(it.simulator.notifications).toHaveLength(1);
  });

  test("renews with a challenge of Intune, and not by its old certificate alone", async () => {
    await using it = await startIntuneConnector();
    const { certificationRequest, signer, transaction } = await it.begin(PROFILE);
    const certificate = issued(await it.device.send(transaction));
    const old = { certificate, privateKey: signer.privateKey };
    const password = it.simulator.requests.assign(PROFILE);
    const renewal = await it.begin(PROFILE, password);
    const renewed = issued(await it.device.renew({ ...renewal, key: signer.privateKey }, old));
    expect(renewed.serialNumber).not.toBe(certificate.serialNumber);
    const plain = await it.makeRequest({}, Date.now());
    expect(refusal(await it.device.renew(plain, old))).toBe("challenge-missing");
    expect(certificationRequest.length).toBeGreaterThan(0);
    expect(it.simulator.notifications).toHaveLength(2);
  });
});

describe("a device is refused", () => {
  test("with what Intune says", async () => {
    await using it = await startIntuneConnector();
    const password = it.simulator.requests.assign(PROFILE);
    const answer = await it.enrol(PROFILE, password, { ...PROFILE, subject: "CN=administrator" });
    expect(refusal(answer)).toBe("intune-subject-name-mismatch");
    expect(it.simulator.notifications).toEqual([]);
  });

  test("where the guardrails do not allow its SID, and Intune hears of it", async () => {
    await using it = await startIntuneConnector();
    const answer = await it.enrol({
      ...PROFILE,
      subjectAltNames: [{ type: "uri", value: SID_URI }],
    });
    expect(refusal(answer)).toBe("guardrail");
    await until(() => it.simulator.notifications.length > 0, "a failure notification");
    expect(it.simulator.notifications[0]).toMatchObject({
      event: "failure",
      body: { hResult: 0xa0040002 | 0, errorDescription: expect.stringMatching(/^guardrail: /) },
    });
    expect(it.simulator.violations).toEqual([]);
  });

  test("with a challenge that another request has used", async () => {
    await using it = await startIntuneConnector();
    const password = it.simulator.requests.assign(PROFILE);
    issued(await it.enrol(PROFILE, password));
    const other = await it.makeRequest(
      { subject: parseNameText(PROFILE.subject), challengePassword: password },
      Date.now(),
      testRsaKey(),
    );
    expect(refusal(await it.device.enrol(other))).toBe("challenge-used");
    expect(it.simulator.notifications).toHaveLength(1);
  });

  test("while Intune cannot be asked, and may come again with the same request", async () => {
    await using it = await startIntuneConnector();
    const { transaction } = await it.begin(PROFILE);
    it.simulator.faults.add("/validateRequest", { status: 403 });
    expect(refusal(await it.device.send(transaction))).toBe("intune-unauthorised");
    issued(await it.device.send(transaction));
  });
});

describe("while Intune has not taken the notification", () => {
  test("the device is told to wait, and gets the certificate when it was taken", async () => {
    await using it = await startIntuneConnector();
    const { transaction } = await it.begin(PROFILE);
    it.simulator.faults.add("/successNotification", { status: 500 });
    expect((await it.device.send(transaction)).status).toBe("PENDING");
    expect((await it.device.send(transaction)).status).toBe("PENDING");
    it.clock.advance(HOUR_MS);
    await until(() => it.simulator.notifications.length > 0, "the notification");
    const certificate = await until(async () => {
      const answer = await it.device.send(transaction);
      return answer.status === "SUCCESS" ? issued(answer) : undefined;
    }, "the certificate");
    const [notification] = it.simulator.notifications;
    const { certificateThumbprint } = notification?.body ?? {};
    expect(certificateThumbprint).toBe(hash("sha1", certificate.der, "hex").toUpperCase());
    expect(it.simulator.notifications).toHaveLength(1);
  });

  test("one whose answer was lost is repeated word for word", async () => {
    await using it = await startIntuneConnector();
    const { transaction } = await it.begin(PROFILE);
    it.simulator.faults.add("/successNotification", "drop-after");
    expect((await it.device.send(transaction)).status).toBe("PENDING");
    it.clock.advance(HOUR_MS);
    await until(() => it.simulator.notifications.length === 2, "the repeated notification");
    const [first, second] = it.simulator.notifications;
    expect(second).toEqual(first);
  });

  test("a code that says nothing is asked again", async () => {
    await using it = await startIntuneConnector();
    const { transaction } = await it.begin(PROFILE);
    it.simulator.notificationCodes.push("Unknown");
    expect((await it.device.send(transaction)).status).toBe("PENDING");
    it.clock.advance(HOUR_MS);
    await until(() => it.simulator.notifications.length === 1, "the notification");
  });

  test("a wish to be left alone is granted", async () => {
    await using it = await startIntuneConnector();
    const { transaction } = await it.begin(PROFILE);
    const headers = { "retry-after": "600" };
    it.simulator.faults.add("/successNotification", { status: 429, headers });
    expect((await it.device.send(transaction)).status).toBe("PENDING");
    it.clock.advance(599_000);
    expect((await it.device.send(transaction)).status).toBe("PENDING");
    expect(it.simulator.timesAsked("/successNotification")).toBe(1);
    it.clock.advance(10_000);
    expect((await it.device.send(transaction)).status).toBe("SUCCESS");
  });

  test("the device is told to wait although Intune gives no answer at all", async () => {
    await using it = await startIntuneConnector();
    const { transaction } = await it.begin(PROFILE);
    it.simulator.faults.add("/successNotification", "hang");
    expect((await it.device.send(transaction)).status).toBe("PENDING");
  });

  test("a person sees what waits and why, and may have it sent at once", async () => {
    await using it = await startIntuneConnector();
    const { transaction } = await it.begin(PROFILE);
    const headers = { "retry-after": "3600" };
    it.simulator.faults.add("/successNotification", { status: 503, headers });
    expect((await it.device.send(transaction)).status).toBe("PENDING");
    expect(await it.service.controls?.["notification.list"]?.({})).toEqual([
      expect.objectContaining({
        id: 1,
        state: "waiting",
        event: "success",
        target: "intune contoso",
        transactionId: transaction.transactionId,
        attempts: 1,
        code: "intune-busy",
        message: expect.stringContaining("503"),
      }),
    ]);
    const retry = it.service.controls?.["notification.retry"];
    expect(await retry?.({ id: 2 })).toEqual({ hurried: 0 });
    expect(await retry?.({ id: 1 })).toEqual({ hurried: 1 });
    await until(() => it.simulator.notifications.length === 1, "the notification");
    await until(
      async () => (await it.device.send(transaction)).status === "SUCCESS",
      "the certificate",
    );
    expect(await it.service.controls?.["notification.list"]?.({})).toEqual([]);
  });

  test("the health says what waits and since when", async () => {
    await using it = await startIntuneConnector();
    it.simulator.faults.add("/successNotification", { status: 503 });
    await it.enrol(PROFILE);
    const check = it.kernel.checks.find(({ name }) => name === "notifications");
    it.simulator.faults.add("/successNotification", ...Array(50).fill({ status: 503 }));
    it.clock.advance(HOUR_MS);
    expect(await check?.run()).toMatchObject({
      status: "warning",
      reason: expect.stringMatching(/^1 wait, the oldest for 60 minutes: .*503/),
    });
  });
});

test("a certificate that Intune refuses to hear of is revoked, and its enrolment has failed", async () => {
  await using it = await startIntuneConnector();
  it.simulator.notificationCodes.push("ScepProfileNoLongerTargetedToTheClient");
  const { transaction } = await it.begin(PROFILE);
  expect(refusal(await it.device.send(transaction))).toBe("notification-refused");
  expect(refusal(await it.device.send(transaction))).toBe("certificate-revoked");
  const [row] = await it.kernel.store.query<{ revoked_at: number; code: string }>(
    `SELECT revoked_at, last_code AS code FROM enrolment JOIN notification ON notification.id = notification_id`,
    [],
    2,
  );
  expect(row?.revoked_at).toBe(it.clock.now());
  expect(row?.code).toBe("intune-scep-profile-no-longer-targeted-to-the-client");
  const entries = await it.kernel.store.query<{ entry: string }>(
    "SELECT entry FROM stream_entry WHERE stream = 'issuance' ORDER BY rowid",
    [],
    10,
  );
  const events = entries.map(({ entry }) => (JSON.parse(entry) as { event: string }).event);
  expect(events.slice(0, 3)).toEqual(["issued", "revoked", "failed"]);
});

test("Intune hears that a person has rejected a request", async () => {
  await using it = await startIntuneConnector({ profile: { approval: true } });
  expect((await it.enrol(PROFILE)).status).toBe("PENDING");
  await it.service.controls?.["request.reject"]?.({ pendingId: 1 });
  await until(() => it.simulator.notifications.length > 0, "a failure notification");
  expect(it.simulator.notifications[0]?.body["errorDescription"]).toMatch(/^request-rejected: /);
});

test("an approved request is notified like any other", async () => {
  await using it = await startIntuneConnector({ profile: { approval: true } });
  const { transaction } = await it.begin(PROFILE);
  expect((await it.device.send(transaction)).status).toBe("PENDING");
  await it.service.controls?.["request.approve"]?.({ pendingId: 1 });
  const certificate = await until(async () => {
    const answer = await it.device.send(transaction);
    return answer.status === "SUCCESS" ? issued(answer) : undefined;
  }, "the certificate");
  expect(certificate.serialNumber).not.toBe("");
  expect(it.simulator.notifications).toHaveLength(1);
});
