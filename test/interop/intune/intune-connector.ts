import {
  type KernelParts,
  startConnector,
} from "@isthmus/cert-connector/testing/connector-under-test";
import { makeRequest, ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { AssignedProfile } from "../../simulators/intune/scep-requests.ts";
import { requestFor, startTenant, tenantConfiguration } from "./tenant-fixture.ts";

export const SID_URI = "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1104";

/** A connector in this process whose profile `device` is validated by a simulated tenant. */
export async function startIntuneConnector({
  profile,
  revocations,
  ...options
}: Pick<KernelParts, "rules" | "limits"> & {
  /** Further keys of the profile `device`. */
  readonly profile?: Readonly<Record<string, unknown>>;
  readonly revocations?: Readonly<Record<string, unknown>>;
} = {}) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const tenant = await startTenant(path);
  const { simulator } = tenant;
  stack.use(simulator);
  const contoso = tenantConfiguration(tenant, tenant.credentials.secret, revocations);
  const challenge = { kind: "intune", tenant: "contoso" };
  const profiles = [{ id: "device", renewalWindowPercent: 100, challenge, ...profile }];
  const local = { tenants: { contoso } };
  const connector = stack.use(await startConnector(profiles, { ...options, local }));
  const device = new ScepDevice(`${connector.url}/scep/device`);
  /** One enrolment of a device that got this profile from Intune. */
  const begin = async (
    assigned: AssignedProfile,
    password = simulator.requests.assign(assigned),
    requested: AssignedProfile = assigned,
  ) => {
    const { certificationRequest, signer } = await requestFor(requested, password);
    const wish = { messageType: "PKCSReq", certificationRequest } as const;
    return { certificationRequest, signer, transaction: await device.begin(wish, signer) };
  };
  const enrol = async (...of: Parameters<typeof begin>) =>
    await device.send((await begin(...of)).transaction);
  return {
    ...{ ...connector, device, simulator, begin, enrol, makeRequest },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
