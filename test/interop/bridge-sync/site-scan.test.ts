import { readParamsDefinition } from "@isthmus/comgmt-bridge/protocol/admin-service/script-definition";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { FIRST, nameOf, SyncedSite, type Told } from "./synced-site.ts";

/** The bridge's scan of a simulated site, into the bridge's own store. */

const SCRIPT = "00000000-0000-4000-8000-00000000aaaa";

test("a first scan tells every record of every kind, each device with its facets", async () => {
  const scripts = [{ guid: SCRIPT, name: "Restart spooler", text: "Restart-Service Spooler" }];
  await using synced = await SyncedSite.start({ site: { scripts }, areBoundaryGroupsRead: true });
  synced.run();
  await synced.untilScans(1, "boundary-group");
  await synced.end();
  const devices = await synced.told();
  expect(devices.size).toBe(700);
  const device = devices.get(String(FIRST + 3)) ?? {};
  expect(Object.keys(device).sort()).toEqual([
    ...["SMS_G_System_COMPUTER_SYSTEM", "SMS_G_System_LOGICAL_DISK"],
    ...["SMS_G_System_OPERATING_SYSTEM", "SMS_G_System_PC_BIOS"],
    ...[
      "boundaryGroups",
      "clientBlock",
      "collections",
      "health",
      "identity",
      "stable",
      "updateCompliance",
      "volatile",
    ],
  ]);
  const [update] = device["updateCompliance"] as Record<string, unknown>[];
  expect(Object.keys(update ?? {}).sort()).toEqual(["CI_ID", "LastEnforcementMessageID", "Status"]);
  expect(device["health"]).toMatchObject({ ClientActiveStatus: expect.any(Number) });
  expect(device["identity"]).toMatchObject({
    Name: expect.stringMatching(/^(WKS|SRV)-/),
    SMSUniqueIdentifier: expect.stringMatching(/^GUID:/),
  });
  expect(device["stable"]).toMatchObject({
    CoManagementFlags: expect.any(Number),
    SiteCode: "CM1",
  });
  expect(device["volatile"]).toMatchObject({ CNIsOnline: true });
  expect(device["collections"]).toContain("SMS00001");
  const groups = await namesOf(synced, "boundary-group");
  for (const [key, told] of devices) {
    const there = synced.site.state.fleet.device(Number(key));
    const named =
      there && synced.site.state.software.boundaryGroupsOf(there).map(({ Name }) => Name);
    const { BoundaryGroups: text } = (told["boundaryGroups"] ?? {}) as { BoundaryGroups?: string };
    expect([key, text?.split(",") ?? []]).toEqual([key, named]);
    expect(named?.every((name) => groups.includes(name))).toBe(true);
  }
  expect(device["SMS_G_System_LOGICAL_DISK"]).toContainEqual(
    expect.objectContaining({ DeviceID: "C:", GroupID: 1 }),
  );
  expect(JSON.stringify(device)).not.toMatch(/odata|__|TimeStamp/);
  const sizes = new Map<string, number>();
  for (const kind of ["user", "collection", "application", "deployment"] as const) {
    sizes.set(kind, (await synced.told(kind)).size);
  }
  expect(Object.fromEntries(sizes)).toEqual({
    ...{ user: 20, collection: 8, application: 5, deployment: 5 },
  });
  expect((await synced.told("software-update")).size).toBe(12);
  expect((await synced.told("boundary-group")).size).toBe(8);
  const [script] = (await synced.told("script")).values();
  expect(script?.["content"]).toEqual({
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    parameters: readParamsDefinition(""),
  });
});

async function namesOf(synced: SyncedSite, kind: RecordKind): Promise<(string | undefined)[]> {
  return [...(await synced.told(kind)).values()].map(nameOf);
}

test("what a site says of a device's boundary groups follows with what is read seldom, also where it roams", async () => {
  await using synced = await SyncedSite.start({ areBoundaryGroupsRead: true, wholeMs: 1 });
  const NO_GROUPS = '{"BoundaryGroups":""}';
  const moves = (BoundaryGroups: string) =>
    synced.site.change({
      ...{ kind: "device", resourceId: FIRST + 5 },
      change: { columns: { SMS_CombinedDeviceResources: { BoundaryGroups } } },
    });
  const groupsOf = (device: Told | undefined) => device?.["boundaryGroups"];
  moves("Oslo");
  synced.run();
  await synced.untilScans(1);
  expect(groupsOf((await synced.told()).get(String(FIRST + 5)))).toEqual({
    BoundaryGroups: "Oslo",
  });
  moves("Oslo,Porto");
  await synced.untilTold(FIRST + 5, (device) => JSON.stringify(groupsOf(device)).includes("Porto"));
  moves("");
  await synced.untilTold(FIRST + 5, (device) => JSON.stringify(groupsOf(device)) === NO_GROUPS);
});

test("a client that the site blocks is told as blocked with what is read seldom", async () => {
  await using synced = await SyncedSite.start({ areBoundaryGroupsRead: true, wholeMs: 1 });
  const blockOf = (device: Told | undefined) => JSON.stringify(device?.["clientBlock"]);
  synced.run();
  await synced.untilScans(1);
  expect(blockOf((await synced.told()).get(String(FIRST + 5)))).toBe('{"IsBlocked":false}');
  synced.site.change({
    ...{ kind: "device", resourceId: FIRST + 5 },
    change: { columns: { SMS_CombinedDeviceResources: { IsBlocked: true } } },
  });
  await synced.untilTold(FIRST + 5, (device) => blockOf(device) === '{"IsBlocked":true}');
});

test("a site where nothing changed is not looked into again: no rows, and no request beyond one for each page", async () => {
  await using synced = await SyncedSite.start();
  synced.run();
  await synced.untilScans(2);
  const before = { ...synced.observer.totals };
  const scans = await synced.scans();
  await synced.untilScans(scans + 2);
  const after = synced.observer.totals;
  expect(after.rows).toBe(before.rows);
  expect(after.changed).toBe(before.changed);
  expect(after.passedOver).toBeGreaterThan(before.passedOver);
});

test("what is added, changed and removed is told, and nothing else", async () => {
  await using synced = await SyncedSite.start();
  synced.run();
  await synced.untilScans(1);
  synced.site.change({ kind: "rename", resourceId: FIRST + 5, name: "RENAMED" });
  synced.site.change({ kind: "remove", resourceId: FIRST + 6 });
  const added = synced.site.change({ kind: "add", change: { name: "NEW" } });
  synced.site.change({
    ...{ kind: "device", resourceId: FIRST + 7 },
    change: { extensionData: { Owner: "Facilities" } },
  });
  await synced.untilTold(FIRST + 5, (device) => {
    return nameOf(device) === "RENAMED";
  });
  await synced.untilTold(added ?? 0, (device) => {
    return nameOf(device) === "NEW";
  });
  await synced.untilTold(FIRST + 6, (device) => device === undefined);
  await synced.untilTold(FIRST + 7, (device) => {
    const [property] = (device?.["SMS_G_System_ExtensionData"] ?? []) as object[];
    return JSON.stringify(property) === '{"PropertyName":"Owner","PropertyValue":"Facilities"}';
  });
  expect((await synced.told()).size).toBe(700);
});

test("devices far behind the others are found, and all of them when they go", async () => {
  await using synced = await SyncedSite.start({ site: { devices: 3 } });
  for (let count = 0; count < 1_500; count += 1) synced.site.change({ kind: "add" });
  for (let key = FIRST + 3; key < FIRST + 1_500; key += 1) {
    synced.site.change({ kind: "remove", resourceId: key });
  }
  synced.run();
  await synced.untilScans(1);
  expect([...(await synced.told()).keys()].sort()).toEqual(
    [0, 1, 2, 1_500, 1_501, 1_502].map((index) => String(FIRST + index)),
  );
  for (const index of [1_500, 1_501, 1_502]) {
    synced.site.change({ kind: "remove", resourceId: FIRST + index });
  }
  await until(async () => (await synced.told()).size === 3, "the deletions", 60_000);
});

describe("rights that are narrowed", () => {
  /** Hides some 7 devices of 700, few enough to be deleted, while ranges are read. */
  const FEW = 0.99;

  test("while the ranges of each scan are read: what is there when it is asked for by key is not deleted", async () => {
    await using synced = await SyncedSite.start();
    synced.with({
      onRangesRead: () => synced.site.narrow(1),
      onScanEnded: () => synced.site.narrow(FEW),
    });
    synced.run();
    await synced.untilScans(5);
    await synced.end();
    expect((await synced.told()).size).toBe(700);
    expect(synced.deletions).toBe(0);
  });

  test("while what is missing is asked for: a scan whose other records are hidden deletes nothing", async () => {
    await using synced = await SyncedSite.start();
    let isNarrow = false;
    synced.with({
      onRangesRead: () => isNarrow && synced.site.narrow(0.3),
      onScanEnded: () => isNarrow && synced.site.narrow(FEW),
    });
    synced.run();
    await synced.untilScans(1);
    isNarrow = true;
    synced.site.narrow(FEW);
    await until(() => synced.faults.includes("page-narrowed"), "the look that is refused", 60_000);
    isNarrow = false;
    synced.site.narrow(1);
    synced.site.change({ kind: "remove", resourceId: FIRST + 6 });
    await synced.untilTold(FIRST + 6, (device) => device === undefined);
    expect((await synced.told()).size).toBe(699);
    expect(synced.deletions).toBe(1);
  });
});

test("only members of the collections that are wanted are devices for us", async () => {
  await using synced = await SyncedSite.start({ collections: ["CM100018"] });
  synced.run();
  await synced.untilScans(1);
  const devices = [...(await synced.told()).values()];
  expect(devices.length).toBeGreaterThan(30);
  expect(devices.length).toBeLessThan(300);
  expect(devices.every(({ collections }) => String(collections).includes("CM100018"))).toBe(true);
});

test("a class that is wanted no more goes from every device", async () => {
  await using synced = await SyncedSite.start({
    inventoryClasses: ["SMS_G_System_PC_BIOS", "SMS_G_System_LOGICAL_DISK"],
  });
  synced.run();
  await synced.untilScans(1);
  await synced.end();
  const fewer = synced.with({ inventoryClasses: ["SMS_G_System_PC_BIOS"] });
  fewer.run();
  await synced.untilTold(FIRST, (device) => device?.["SMS_G_System_LOGICAL_DISK"] === null);
  expect((await synced.told()).get(String(FIRST))?.["SMS_G_System_PC_BIOS"]).toHaveLength(1);
});
