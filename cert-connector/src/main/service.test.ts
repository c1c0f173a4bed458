import { generateKeyPairSync } from "node:crypto";
import { systemClock } from "@isthmus/shared/clock";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import { guardrails } from "../config/guardrails.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { issued, makeAuthority, makeChallenge, makeRequest, ScepDevice } from "./fixture.ts";
import { startCertConnector } from "./start.ts";

const tenant = generateKeyPairSync("ed25519").privateKey;

async function startService(profile: Record<string, unknown> = {}) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(temporaryFolder());
  const ca = await makeAuthority(folder.path, systemClock);
  const kernel = stack.use(
    await makeTestKernel<any, any, CertificateOperations>({
      service: "cert-connector",
      storeModule: new URL("../store/operations.ts", import.meta.url),
      local: {
        listen: { address: "127.0.0.1", port: 0 },
        ca,
        secrets: {},
        envelopeThreads: 0,
      },
      guardrails: guardrails.parse({}),
      tenantKeys: [publicKeyOf(tenant)],
    }),
  );
  kernel.clock.set(Date.now());
  const service = stack.use(await startCertConnector(kernel));
  await service.applyConfiguration(
    desiredConfiguration.parse({ profiles: [{ id: "device", ...profile }] }),
    1,
  );
  const url = kernel.announced["scepUrl"] ?? "";
  return {
    kernel,
    service,
    url,
    device: new ScepDevice(`${url}/scep/device`),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test("a device with a challenge gets the certificate that profile and challenge decide", async () => {
  await using it = await startService();
  const now = it.kernel.clock.now();
  const challengePassword = await makeChallenge(tenant, now);
  const answer = await it.device.enrol(await makeRequest({ challengePassword }, now));
  const certificate = issued(answer);
  expect(certificate.subjectAltNames).toEqual([
    { type: "uri", value: "urn:isthmus:device:device-1" },
    { type: "upn", value: "ada@example.com" },
  ]);
});
