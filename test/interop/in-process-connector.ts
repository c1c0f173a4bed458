import { desiredConfiguration } from "@isthmus/cert-connector/config/desired-configuration";
import { localConfiguration } from "@isthmus/cert-connector/config/local-configuration";
import { kernelOptions, ScepDevice } from "@isthmus/cert-connector/main/fixture";
import type { CertificateKernel } from "@isthmus/cert-connector/main/service";
import { startCertConnector } from "@isthmus/cert-connector/main/start";
import type { CertificateOperations } from "@isthmus/cert-connector/store/operations";
import type { WindowLimit } from "@isthmus/shared/kernel/service-definition";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";

export interface InProcessOptions {
  /** Further keys of the profile `device`. */
  readonly profile: Readonly<Record<string, unknown>>;
  readonly tenants?: Readonly<Record<string, unknown>>;
  readonly webhooks?: Readonly<Record<string, unknown>>;
  readonly rules?: NonNullable<Parameters<typeof kernelOptions>[2]>["rules"];
  readonly limits?: Readonly<Record<string, WindowLimit>>;
}

/** A connector in this process, with files in `folder`, that goes onto `stack`. Its clock stands still. */
export async function startInProcess(
  folder: string,
  stack: AsyncDisposableStack,
  { profile, tenants = {}, webhooks = {}, rules = {}, limits }: InProcessOptions,
) {
  const base = await kernelOptions(folder, new FakeClock(), { rules });
  const peers = localConfiguration
    .pick({ tenants: true, webhooks: true })
    .parse({ tenants, webhooks });
  const kernel = stack.use(
    await makeTestKernel<
      CertificateKernel["local"],
      CertificateKernel["guardrails"],
      CertificateOperations
    >({
      ...base,
      local: { ...base.local, ...peers } as unknown as CertificateKernel["local"],
      ...(limits !== undefined && { limits }),
    }),
  );
  const service = stack.use(await startCertConnector(kernel));
  const profiles = [{ id: "device", renewalWindowPercent: 100, ...profile }];
  await service.applyConfiguration(desiredConfiguration.parse({ profiles }), 1);
  const device = new ScepDevice(`${kernel.announced["scepUrl"]}/scep/device`);
  return { kernel, clock: kernel.clock, service, device };
}
