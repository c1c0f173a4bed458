import { join } from "node:path";
import { desiredConfiguration } from "@isthmus/cert-connector/config/desired-configuration";
import { kernelOptions } from "@isthmus/cert-connector/main/fixture";
import type { CertificateKernel } from "@isthmus/cert-connector/main/service";
import { startCertConnector } from "@isthmus/cert-connector/main/start";
import type { CertificateOperations } from "@isthmus/cert-connector/store/operations";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";

/** The password of `static` profiles in these sites. */
export const SITE_PASSWORD = "one password for all";

/** A connector in this process with profiles of its own, and a clock that only the test moves. */
export async function startSite(
  profiles: readonly Readonly<Record<string, unknown>>[],
  of: Parameters<typeof kernelOptions>[2] & {
    /** Where an authority lies already: its folder and the file with its passphrase. */
    readonly ca?: { readonly folder: string; readonly passphraseFile: string };
    readonly now?: number;
    /** Further keys of the local configuration. */
    readonly local?: Readonly<Record<string, unknown>>;
  } = {},
) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const clock = new FakeClock(of.now);
  const options = await kernelOptions(join(path, "site"), clock, of);
  const local = { ...options.local, ...(of.ca && { ca: of.ca }), ...of.local };
  const kernel = stack.use(
    await makeTestKernel<
      CertificateKernel["local"],
      CertificateKernel["guardrails"],
      CertificateOperations
    >({ ...options, local: local as unknown as CertificateKernel["local"] }),
  );
  if (of.now !== undefined) kernel.clock.advance(of.now - kernel.clock.now());
  const service = stack.use(await startCertConnector(kernel));
  const configure = (next: readonly Readonly<Record<string, unknown>>[]) =>
    service.applyConfiguration(desiredConfiguration.parse({ profiles: next }), 1);
  await configure(profiles);
  const url = kernel.announced["scepUrl"] ?? "";
  return {
    ...{ kernel, service, configure, url },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A profile whose challenge is one password, so that a recorded request is let in at any time. */
export function staticProfile(id: string, further: Readonly<Record<string, unknown>> = {}) {
  return {
    id,
    challenge: { kind: "static", secretName: "closed", deviceId: "requestedCommonName" },
    subject: { template: "CN={{deviceId}}" },
    validityDays: 30,
    renewalWindowPercent: 100,
    ...further,
  };
}
