import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { type Site, startSite } from "../../simulators/configmgr/site.ts";
import type { Principal, SiteOptions } from "../../simulators/configmgr/site-options.ts";
import { AdminServiceClient } from "./admin-service-client.ts";

export const OPERATOR: Principal = { name: "CORP\\operator" };
export const APPROVER: Principal = { name: "CORP\\approver" };
/** The first device's. */
export const FIRST = 16_777_216;
export const NOW = Date.UTC(2026, 0, 15, 12);

export interface SiteUnderTest extends AsyncDisposable {
  readonly site: Site;
  readonly client: AdminServiceClient;
  /** Who may approve what the operator wrote. */
  readonly approver: AdminServiceClient;
  readonly clock: FakeClock;
}

/** A site on a clock that stands still, with 100 devices, all of them online. */
export async function siteUnderTest(options: SiteOptions = {}): Promise<SiteUnderTest> {
  const stack = new AsyncDisposableStack();
  const clock = new FakeClock(NOW);
  const site = stack.use(
    await startSite({
      ...{ clock, devices: 100, onlineShare: 1, negotiate: OPERATOR },
      ...{ tokens: { approver: APPROVER } },
      ...options,
    }),
  );
  const client = stack.use(new AdminServiceClient(site));
  const bearer = { authorization: "Bearer approver" };
  const approver = stack.use(new AdminServiceClient(site, bearer, "/AdminService_TokenAuth"));
  return { site, client, approver, clock, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
