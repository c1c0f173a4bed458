import { generateKeyPairSync } from "node:crypto";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { verifyIssuedBy } from "@isthmus/shared/x509/chain";
import { expect, test } from "vitest";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import {
  type KernelParts,
  kernelOptions,
  makeConnectorKernel,
} from "../testing/connector-under-test.ts";
import { issued, makeChallenge, makeRequest, ScepDevice } from "../testing/scep-device.ts";
import { startCertConnector } from "./start.ts";

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const tenant = generateKeyPairSync("ed25519").privateKey;

async function makeSite(limits: KernelParts = {}) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const options = await kernelOptions(path, new FakeClock(), {
    tenantKeys: [publicKeyOf(tenant)],
    ...limits,
  });
  const kernel = stack.use(await makeConnectorKernel(options));
  return { kernel, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
type Site = Awaited<ReturnType<typeof makeSite>>;

async function startOn({ kernel }: Site) {
  kernel.metrics.clear();
  const service = await startCertConnector(kernel);
  const desired = { profiles: [{ id: "device" }] };
  await service.applyConfiguration(desiredConfiguration.parse(desired), 1);
  const url = `${kernel.announced["scepUrl"]}/scep/device`;
  const request = async () => {
    const now = kernel.clock.now();
    return await makeRequest({ challengePassword: await makeChallenge(tenant, now) }, now);
  };
  const ra = async () => {
    const [certificate] = await new ScepDevice(url).caCertificates();
    if (certificate === undefined) throw new Error("no RA certificate");
    return certificate;
  };
  return {
    service,
    url,
    request,
    ra,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

test("the RA is renewed before its end, and both keys are served during the overlap", async () => {
  await using site = await makeSite();
  const { clock } = site.kernel;
  await using before = await startOn(site);
  const old = await before.ra();
  const [, issuing] = await new ScepDevice(before.url).caCertificates();
  const device = new ScepDevice(before.url);
  issued(await device.enrol(await before.request()));
  await before[Symbol.asyncDispose]();

  clock.advance(old.notAfter - clock.now() - 59 * DAY_MS);
  const middle = await startOn(site);
  const next = await middle.ra();
  expect(next.thumbprint).not.toBe(old.thumbprint);
  expect(next.subject.der).toEqual(old.subject.der);
  expect(issuing && verifyIssuedBy(next, issuing)).toBe(true);
  expect(next.keyUsage).toEqual(["digitalSignature", "keyEncipherment"]);
  expect(next.extendedKeyUsage).toEqual(old.extendedKeyUsage);
  // A client that kept the old certificate encrypts to it, and takes no answer that another key signed.
  const waiting = new ScepDevice(middle.url, { recipient: old });
  issued(await waiting.enrol(await middle.request()));
  issued(await new ScepDevice(middle.url).enrol(await middle.request()));
  await middle[Symbol.asyncDispose]();

  await using after = await startOn(site);
  expect((await after.ra()).thumbprint).toBe(next.thumbprint);
  issued(await new ScepDevice(after.url, { recipient: old }).enrol(await after.request()));
  clock.advance(31 * DAY_MS);
  const late = new ScepDevice(after.url, { recipient: old }).enrol(await after.request());
  await expect(late).rejects.toThrow(/another server signed it/);
  issued(await new ScepDevice(after.url).enrol(await after.request()));
});

test("the successor lives on in the ledger with its key encrypted, and is on record in the audit", async () => {
  await using site = await makeSite();
  const { clock, store } = site.kernel;
  await using before = await startOn(site);
  const first = await before.ra();
  await before[Symbol.asyncDispose]();
  clock.advance(first.notAfter - clock.now() - DAY_MS);
  await using after = await startOn(site);
  const { serialNumber } = await after.ra();
  const keys = await store.query<{ custody: string; material: string }>(
    "SELECT custody, material FROM registration_key ORDER BY made_at",
    [],
    10,
  );
  expect(keys.map(({ custody }) => custody)).toEqual(["folder", "pkcs8"]);
  expect(keys[0]?.material).toBe("");
  expect(keys[1]?.material).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  const [entry] = await store.query<{ payload: string }>(
    "SELECT payload FROM audit_journal WHERE event = 'scep.ra-issued'",
    [],
    1,
  );
  expect(entry?.payload).toContain(serialNumber);
});

test("the RA's certificate never outlives its issuer", async () => {
  await using site = await makeSite();
  const { clock } = site.kernel;
  await using before = await startOn(site);
  const [, issuing] = await new ScepDevice(before.url).caCertificates();
  const end = issuing?.notAfter ?? 0;
  await before[Symbol.asyncDispose]();
  clock.advance(end - clock.now() - YEAR_MS);
  await using after = await startOn(site);
  expect((await after.ra()).notAfter).toBe(end);
});
