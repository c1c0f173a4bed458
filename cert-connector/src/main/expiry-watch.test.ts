import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { derToPem } from "@isthmus/shared/x509/pem";
import { describe, expect, test } from "vitest";
import { kernelOptions, makeConnectorKernel } from "../testing/connector-under-test.ts";
import { deviceKey, makeRequest } from "../testing/scep-device.ts";
import type { CertificateKernel } from "./service.ts";
import { startCertConnector } from "./start.ts";
import { foreignExpiries } from "./watched-expiries.ts";

const DAY_MS = 86_400_000;
const YEAR_DAYS = 365;

async function testKernel() {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const options = await kernelOptions(path, new FakeClock());
  const kernel = stack.use(await makeConnectorKernel(options));
  return { kernel, path, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

type TestKernel = Awaited<ReturnType<typeof testKernel>>["kernel"];

/** The figures of the metric by what they are of, in whole days. */
async function daysLeft(metrics: CertificateKernel["metrics"]): Promise<Record<string, number>> {
  const metric = (await metrics.getMetricsAsJSON()).find(
    ({ name }) => name === "isthmus_expiry_seconds",
  );
  const values = metric?.values as { labels: { what: string }; value: number }[];
  return Object.fromEntries(
    values.map(({ labels, value }) => [labels.what, Math.round(value / 86_400)]),
  );
}

/** Starts and stops the service after so many more days. */
async function runAfter(kernel: TestKernel, days: number): Promise<void> {
  kernel.clock.advance(days * DAY_MS);
  const service = await startCertConnector(kernel);
  await service[Symbol.asyncDispose]();
  kernel.metrics.clear();
}

async function warnings(kernel: TestKernel): Promise<string[]> {
  const rows = await kernel.store.query<{ event: string; payload: string }>(
    "SELECT event, payload FROM audit_journal WHERE event LIKE 'expiry.%' ORDER BY idx",
    [],
    100,
  );
  return rows.map(({ event, payload }) => {
    const { what, thresholdDays } = JSON.parse(payload);
    return `${event} ${what} ${thresholdDays}`;
  });
}

describe("the watch over expiries", () => {
  test("puts each threshold on record once, whatever restarts come between", async () => {
    await using it = await testKernel();
    const { kernel } = it;
    await runAfter(kernel, 0);
    expect(await warnings(kernel)).toEqual([]);
    await runAfter(kernel, 9 * YEAR_DAYS + 1);
    await runAfter(kernel, 1);
    await runAfter(kernel, YEAR_DAYS - 7);
    await runAfter(kernel, 1);
    const ofIssuer = (await warnings(kernel)).filter((text) => text.includes("issuing-ca"));
    expect(ofIssuer).toEqual(["expiry.warning issuing-ca 365", "expiry.warning issuing-ca 7"]);
  });

  test("shows what is left as metrics and as health, and how to mend it", async () => {
    await using it = await testKernel();
    const { kernel } = it;
    kernel.clock.advance((10 * YEAR_DAYS - 20) * DAY_MS);
    await using _service = await startCertConnector(kernel);
    expect(await daysLeft(kernel.metrics)).toMatchObject({
      "issuing-ca": 20,
      "root-ca": 10 * YEAR_DAYS + 20,
      "ocsp-responder": 7,
      "revocation-list": 2,
    });
    const check = kernel.checks.find(({ name }) => name === "issuing-ca");
    expect(await check?.run()).toEqual({
      status: "warning",
      reason: expect.stringContaining("the issuing CA's certificate ends on "),
      remedy: expect.stringContaining("successor"),
    });
  });

  test("an ended certificate of the authority is unhealthy", async () => {
    await using it = await testKernel();
    await using _service = await startCertConnector(it.kernel);
    it.kernel.clock.advance(10 * YEAR_DAYS * DAY_MS + 1);
    const check = it.kernel.checks.find(({ name }) => name === "issuing-ca");
    expect(await check?.run()).toMatchObject({ status: "unhealthy" });
  });

  test("reads every certificate file of the local configuration, and the pinned CA", async () => {
    await using it = await testKernel();
    const { kernel, path } = it;
    const now = kernel.clock.now();
    const { signer } = await makeRequest({}, now, deviceKey());
    const pem = derToPem(signer.certificate.der, "CERTIFICATE");
    const certificateFile = join(path, "client.pem");
    writeFileSync(certificateFile, pem);
    mkdirSync(kernel.stateFolder, { recursive: true });
    writeFileSync(join(kernel.stateFolder, "cloud-ca.pem"), pem);
    const local = {
      ...kernel.local,
      authorities: { "Corp.CA": { client: { certificateFile } } },
      tenants: { contoso: { credential: { kind: "secret", expiresOn: "2027-03-01" } } },
    };
    const foreign = foreignExpiries(
      { local: local as unknown as CertificateKernel["local"], stateFolder: kernel.stateFolder },
      [],
    );
    expect(foreign.map(({ what, notAfter }) => [what, notAfter])).toEqual([
      ["authorities-corp-ca-client", signer.certificate.notAfter],
      ["tenants-contoso-credential", Date.UTC(2027, 2, 1)],
      ["cloud-ca", signer.certificate.notAfter],
    ]);
  });
});
