import { generateKeyPairSync } from "node:crypto";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { formatName } from "@isthmus/shared/x509/name-text";
import { expect, test } from "vitest";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import type { ScepAnswer } from "../protocol/scep-client.ts";
import type { CertificateOperations } from "../store/operations.ts";
import {
  deviceKey,
  issued,
  kernelOptions,
  makeChallenge,
  makeRequest,
  ScepDevice,
} from "./fixture.ts";
import type { CertificateKernel } from "./service.ts";
import { startCertConnector } from "./start.ts";

const DAY_MS = 86_400_000;
const tenant = generateKeyPairSync("ed25519").privateKey;

async function startService(profile: Record<string, unknown>) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const tenantKeys = [publicKeyOf(tenant)];
  const options = await kernelOptions(path, new FakeClock(), { tenantKeys });
  const kernel = stack.use(
    await makeTestKernel<
      CertificateKernel["local"],
      CertificateKernel["guardrails"],
      CertificateOperations
    >({ ...options, local: options.local as unknown as CertificateKernel["local"] }),
  );
  const service = stack.use(await startCertConnector(kernel));
  const desired = { profiles: [{ id: "device", validityDays: 30, ...profile }] };
  await service.applyConfiguration(desiredConfiguration.parse(desired), 1);
  const device = new ScepDevice(`${kernel.announced["scepUrl"]}/scep/device`);
  const enrol = async () => {
    const now = kernel.clock.now();
    const challengePassword = await makeChallenge(tenant, now);
    return issued(await device.enrol(await makeRequest({ challengePassword }, now)));
  };
  let renewals = 0;
  /** As RenewalReq, or as PKCSReq without a challenge. */
  const renew = async (certificate: Certificate, how: "RenewalReq" | "PKCSReq" = "RenewalReq") => {
    // Another request each time: the same one again would be a retry.
    renewals += 1;
    const extensionRequest = [
      { oid: `1.2.3.${renewals}`, critical: false, value: Buffer.from([5, 0]) },
    ];
    const { certificationRequest } = await makeRequest({ extensionRequest }, kernel.clock.now());
    const signer = { certificate, privateKey: deviceKey() };
    const wish = { messageType: how, certificationRequest } as const;
    return await device.send(await device.begin(wish, signer));
  };
  const revoke = (serialNumber: string, reason: string) =>
    service.controls?.["certificate.revoke"]?.({ serialNumber, reason });
  return {
    ...{ kernel, clock: kernel.clock, enrol, renew, revoke },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
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
