import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { FIRST, SyncedSite, type SyncedSiteOptions } from "./synced-site.ts";

/** States of applications on devices, as a simulated site has them. */

const STATES = "SMS_AppDeploymentAssetDetails";
const ERRORS = "SMS_AppDeploymentErrorAssetDetails";
const NOT_DETECTED = 0x87d00324 | 0;
const HOT = { hotMs: 200, truthMs: 86_400_000 } as const;

type Rows = readonly Readonly<Record<string, unknown>>[];

/** Scanned, and the counts of its deployments are known; rounds of changes alone are left. */
async function settled(options: SyncedSiteOptions = {}): Promise<SyncedSite> {
  const site = { devices: 200, applications: 5, ...options.site };
  const synced = await SyncedSite.start({
    ...{ ...HOT, areApplicationStatesRead: true, ...options },
    site,
  });
  synced.run();
  await synced.untilScans(2, "collection");
  await until(() => synced.observer.totals.passedOver >= 1, "the first range", 60_000);
  await until(() => asked(synced, "SMS_DeploymentSummary").length > 4, "summaries", 60_000);
  return synced;
}

function asked({ site }: SyncedSite, name: string): readonly string[] {
  const paths = site.requests().map(({ path }) => decodeURIComponent(path));
  return paths.filter((path) => path.includes(`/${name}`));
}

function rowOf(facets: Readonly<Record<string, unknown>> | undefined, facet: string, n: number) {
  const rows = (facets?.[facet] ?? []) as Rows;
  return rows.find(({ AppName }) => AppName === `Contoso Application ${n}`);
}

function deployedTo(
  { site }: SyncedSite,
  resourceId: number,
): readonly { ApplicationId: string }[] {
  const device = site.state.fleet.device(resourceId);
  if (device === undefined) return [];
  return site.state.software.availableApplications(device, false) as { ApplicationId: string }[];
}

/** The number of an application that is deployed to the device. */
function numberOn(synced: SyncedSite, resourceId: number): number {
  const [first] = deployedTo(synced, resourceId);
  return synced.site.state.software.applicationBy(first?.ApplicationId ?? "") ?? -1;
}

test("each application that is deployed to a device is told with its state", async () => {
  await using synced = await settled();
  const device = (await synced.told()).get(String(FIRST));
  const rows = device?.["applicationStates"] as Rows;
  expect(rows).toHaveLength(deployedTo(synced, FIRST).length);
  for (const row of rows) {
    expect([1, 4]).toContain(row["AppStatusType"]);
    expect(Object.keys(row)).toEqual([
      ...["AppCI", "AppName", "AppStatusType", "AssignmentID", "CollectionID", "DeploymentIntent"],
      ...["DTCI", "DTName", "EnforcementState", "InstalledState", "StartTime", "UserName"],
    ]);
  }
  expect(device?.["applicationErrors"]).toBeUndefined();
});

test("a state that moves is told without a scan, with its code, and few devices are asked for", async () => {
  await using synced = await settled();
  const number = numberOn(synced, FIRST + 1);
  const scans = await synced.scans();
  synced.site.state.applicationComesTo(FIRST + 1, number, "Installing");
  await synced.untilTold(
    FIRST + 1,
    (device) => rowOf(device, "applicationStates", number)?.["AppStatusType"] === 2,
  );
  const before = synced.site.requests().length;
  synced.site.state.applicationComesTo(FIRST + 1, number, "Failed");
  await synced.untilTold(
    FIRST + 1,
    (device) => rowOf(device, "applicationErrors", number)?.["ErrorCode"] === NOT_DETECTED,
  );
  const device = (await synced.told()).get(String(FIRST + 1));
  expect(rowOf(device, "applicationStates", number)?.["AppStatusType"]).toBe(5);
  expect(await synced.scans()).toBe(scans);
  const since = synced.site.requests().slice(before);
  const keys = since.flatMap(({ path }) => decodeURIComponent(path).match(/MachineID eq/g) ?? []);
  // This device alone, in both tables; twice where a round saw the change in between.
  expect(keys.length).toBeLessThanOrEqual(4);
});

test("a code goes once the application does not fail any more", async () => {
  await using synced = await settled();
  const number = numberOn(synced, FIRST + 2);
  synced.site.state.applicationComesTo(FIRST + 2, number, "Failed");
  await synced.untilTold(FIRST + 2, (device) => device?.["applicationErrors"] !== undefined);
  synced.site.state.applicationComesTo(FIRST + 2, number, "Installed");
  await synced.untilTold(
    FIRST + 2,
    (device) =>
      rowOf(device, "applicationStates", number)?.["AppStatusType"] === 1 &&
      device?.["applicationErrors"] === null,
  );
});

test("a deployment to more devices than a page has rows is left to the scan", async () => {
  await using synced = await settled({ pageRows: 100, site: { devices: 150 } });
  const number = numberOn(synced, FIRST);
  synced.site.state.applicationComesTo(FIRST, number, "Installing");
  await until(
    () => asked(synced, STATES).some((path) => path.includes("AssignmentID eq")),
    "a look at the deployment",
    60_000,
  );
  const looks = asked(synced, "SMS_DeploymentSummary").length;
  await until(() => asked(synced, "SMS_DeploymentSummary").length > looks + 4, "rounds", 60_000);
  expect(asked(synced, STATES).filter((path) => path.includes("MachineID eq"))).toEqual([]);
});

test.each([
  [STATES, "applicationStates"],
  [ERRORS, "applicationErrors"],
  ["SMS_DeploymentSummary", "nothing"],
])("where %s may not be read devices come without %s", async (name, facet) => {
  const fault = { kind: "status", status: 403 } as const;
  const faults = [{ path: `wmi/${name}\\b`, times: "always", fault } as const];
  await using synced = await SyncedSite.start({
    ...{ ...HOT, areApplicationStatesRead: true },
    site: { devices: 40, applications: 5, faults },
  });
  synced.run();
  await synced.untilScans(1);
  const device = (await synced.told()).get(String(FIRST));
  expect(device?.["identity"]).toBeDefined();
  expect(device?.[facet]).toBeUndefined();
  if (name !== STATES) expect(device?.["applicationStates"]).toBeDefined();
});

test("where nobody wants them nobody asks for them", async () => {
  await using synced = await SyncedSite.start(HOT);
  synced.run();
  await synced.untilScans(1);
  await synced.untilScans(2, "collection");
  for (const name of [STATES, ERRORS, "SMS_DeploymentSummary"]) {
    expect(asked(synced, name)).toEqual([]);
  }
});
