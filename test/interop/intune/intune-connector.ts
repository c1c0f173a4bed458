import { desiredConfiguration } from "@isthmus/cert-connector/config/desired-configuration";
import { localConfiguration } from "@isthmus/cert-connector/config/local-configuration";
import { kernelOptions, makeRequest, ScepDevice } from "@isthmus/cert-connector/main/fixture";
import type { CertificateKernel } from "@isthmus/cert-connector/main/service";
import { startCertConnector } from "@isthmus/cert-connector/main/start";
import type { CertificateOperations } from "@isthmus/cert-connector/store/operations";
import type { WindowLimit } from "@isthmus/shared/kernel/service-definition";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { AssignedProfile } from "../../simulators/intune/scep-requests.ts";
import { requestFor, startTenant, tenantConfiguration } from "./tenant-fixture.ts";

export const SID_URI = "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1104";

export interface IntuneConnectorOptions {
  readonly profile?: Readonly<Record<string, unknown>>;
  readonly rules?: NonNullable<Parameters<typeof kernelOptions>[2]>["rules"];
  readonly revocations?: Readonly<Record<string, unknown>>;
  readonly limits?: Readonly<Record<string, WindowLimit>>;
}

/** A connector in this process whose profile `device` is validated by a simulated tenant. Its clock stands still. */
export async function startIntuneConnector(options: IntuneConnectorOptions = {}) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const tenant = await startTenant(path);
  stack.use(tenant.simulator);
  const base = await kernelOptions(path, new FakeClock(), { rules: options.rules ?? {} });
  const { tenants } = localConfiguration.pick({ tenants: true }).parse({
    tenants: {
      contoso: tenantConfiguration(tenant, tenant.credentials.secret, options.revocations),
    },
  });
  const kernel = stack.use(
    await makeTestKernel<
      CertificateKernel["local"],
      CertificateKernel["guardrails"],
      CertificateOperations
    >({
      ...base,
      local: { ...base.local, tenants } as unknown as CertificateKernel["local"],
      ...(options.limits !== undefined && { limits: options.limits }),
    }),
  );
  const service = stack.use(await startCertConnector(kernel));
  const challenge = { kind: "intune", tenant: "contoso" };
  const profiles = [{ id: "device", challenge, renewalWindowPercent: 100, ...options.profile }];
  await service.applyConfiguration(desiredConfiguration.parse({ profiles }), 1);
  const device = new ScepDevice(`${kernel.announced["scepUrl"]}/scep/device`);
  const { simulator } = tenant;
  /** One enrolment of a device that got this profile from Intune. */
  const begin = async (
    profile: AssignedProfile,
    password = simulator.requests.assign(profile),
    requested: AssignedProfile = profile,
  ) => {
    const { certificationRequest, signer } = await requestFor(requested, password);
    const wish = { messageType: "PKCSReq", certificationRequest } as const;
    return { certificationRequest, signer, transaction: await device.begin(wish, signer) };
  };
  const enrol = async (...of: Parameters<typeof begin>) =>
    await device.send((await begin(...of)).transaction);
  return {
    ...{ kernel, clock: kernel.clock, service, device, simulator, begin, enrol, makeRequest },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
