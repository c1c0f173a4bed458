import type { Certificate } from "@isthmus/shared/x509/certificate";
import { formatName } from "@isthmus/shared/x509/name-text";
import { expect, test } from "vitest";
import type { ScepAnswer } from "../protocol/scep-client.ts";
import { startConnector } from "../testing/connector-under-test.ts";
import { deviceKey, issued, makeRequest, ScepDevice } from "../testing/scep-device.ts";

const DAY_MS = 86_400_000;

async function startService(profile: Record<string, unknown>) {
  const it = await startConnector([{ id: "device", validityDays: 30, ...profile }]);
  const { clock, service } = it;
  const device = new ScepDevice(`${it.url}/scep/device`);
  const enrol = async () => {
    const challengePassword = await it.challenge();
    return issued(await device.enrol(await makeRequest({ challengePassword }, clock.now())));
  };
  let renewals = 0;
  /** As RenewalReq, or as PKCSReq without a challenge. */
  const renew = async (certificate: Certificate, how: "RenewalReq" | "PKCSReq" = "RenewalReq") => {
    // Another request each time: the same one again would be a retry.
    renewals += 1;
    const extensionRequest = [
      { oid: `1.2.3.${renewals}`, critical: false, value: Buffer.from([5, 0]) },
    ];
    const { certificationRequest } = await makeRequest({ extensionRequest }, clock.now());
    const signer = { certificate, privateKey: deviceKey() };
    const wish = { messageType: how, certificationRequest } as const;
    return await device.send(await device.begin(wish, signer));
  };
  const revoke = (serialNumber: string, reason: string) =>
    service.controls?.["certificate.revoke"]?.({ serialNumber, reason });
  return { ...it, enrol, renew, revoke };
}

function refusal(answer: ScepAnswer): string | undefined {
  return answer.status === "FAILURE" ? answer.failInfoText?.split(":")[0] : answer.status;
}

test("without days of rescue an expired certificate renews nothing", async () => {
  await using it = await startService({});
  const certificate = await it.enrol();
  it.clock.advance(31 * DAY_MS);
  expect(refusal(await it.renew(certificate))).toBe("renewal-expired");
});

test.each(["RenewalReq", "PKCSReq"] as const)(
  "with them a device comes back by %s, which the audit tells as what it is",
  async (how) => {
    await using it = await startService({ rescueDays: 5 });
    const certificate = await it.enrol();
    it.clock.advance(34 * DAY_MS);
    const rescued = issued(await it.renew(certificate, how));
    expect(formatName(rescued.subject)).toBe(formatName(certificate.subject));
    const [event] = await it.kernel.store.query<{ payload: string }>(
      "SELECT payload FROM audit_journal WHERE event = 'enrolment.rescued'",
      [],
      10,
    );
    expect(JSON.parse(event?.payload ?? "{}")).toMatchObject({
      deviceId: "device-1",
      expired: certificate.serialNumber,
      count: 1,
    });
    it.clock.advance(2 * DAY_MS);
    expect(refusal(await it.renew(certificate))).toBe("renewal-expired");
  },
);

test("three times and no more, until there is a new challenge", async () => {
  await using it = await startService({ rescueDays: 5 });
  let certificate = await it.enrol();
  for (let time = 1; time <= 3; time += 1) {
    it.clock.advance(31 * DAY_MS);
    certificate = issued(await it.renew(certificate));
  }
  it.clock.advance(31 * DAY_MS);
  expect(refusal(await it.renew(certificate))).toBe("rescue-limit");
  certificate = await it.enrol();
  it.clock.advance(31 * DAY_MS);
  issued(await it.renew(certificate));
});

test("a device of which a certificate was revoked meanwhile is not let in", async () => {
  await using it = await startService({ rescueDays: 5 });
  const [first, second] = [await it.enrol(), await it.enrol()];
  await it.revoke(second.serialNumber, "keyCompromise");
  it.clock.advance(31 * DAY_MS);
  expect(refusal(await it.renew(first))).toBe("rescue-blocked");
});

test("that an older certificate was superseded keeps nobody out", async () => {
  await using it = await startService({ rescueDays: 5 });
  const [first, second] = [await it.enrol(), await it.enrol()];
  await it.revoke(first.serialNumber, "superseded");
  it.clock.advance(31 * DAY_MS);
  issued(await it.renew(second));
});
