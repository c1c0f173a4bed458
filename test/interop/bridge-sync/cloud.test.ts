import { ConnectorFixture } from "@isthmus/control-plane/main/connector-fixture";
import { ControlPlaneFixture } from "@isthmus/control-plane/main/control-plane-fixture";
import { INVENTORY_STREAM, inventoryEntry } from "@isthmus/shared/link/inventory-messages";
import { lineOf, STORED_ENTRIES } from "@isthmus/shared/link/lane-operations";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FIRST, SyncedSite } from "./synced-site.ts";

/** What a site says, read by the bridge, told to a control plane, asked of its API. */

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

let admin: Awaited<ReturnType<ControlPlaneFixture["client"]>>;
let bridge: ConnectorFixture;
let synced: SyncedSite;

beforeAll(async () => {
  const folder = stack.use(temporaryFolder());
  const plane = stack.use(await ControlPlaneFixture.start(folder.path));
  admin = await plane.client();
  bridge = stack.use(await ConnectorFixture.enrol(plane, admin, "comgmt-bridge"));
  await bridge.connect();
  expect(await bridge.lease("CM1", "configmgr")).toMatchObject({ lease: 1 });
  const events = [
    {
      ...{ name: "Kernel Crash", provider: "Microsoft-Windows-WER-SystemErrorReporting", level: 2 },
      ...{ eventId: 1_001, message: "The computer has rebooted from a bugcheck.", at: Date.now() },
    },
  ];
  synced = stack.use(
    await SyncedSite.start({ site: { devices: 3 }, inventoryClasses: [], hotMs: 50 }),
  );
  const inactive = { health: { isActive: false } };
  synced.site.change({ kind: "device", resourceId: FIRST, change: { ...inactive, events } });
  synced.site.change({
    ...{ kind: "device", resourceId: FIRST + 1, change: { health: { isActive: true } } },
  });
});

let position = 0;
let markers = 0;
/** Hands on what the bridge has told since, and waits until it was taken. */
async function tellAll(): Promise<void> {
  const rows = await synced.store.query(
    `SELECT position, entry, bytes FROM ${STORED_ENTRIES} WHERE stream = ? AND position > ? ORDER BY position LIMIT 1000`,
    [INVENTORY_STREAM, position],
    1_000,
  );
  for (const row of rows) {
    position = Number(row["position"]);
    await bridge.inventory(inventoryEntry.parse(JSON.parse(lineOf(row))));
  }
  markers += 1;
  const message = `marker ${markers}`;
  await bridge.inventory({
    ...{ type: "event", source: "CM1", lease: 1, at: Date.now(), event: "test.marker", message },
  });
  await until(async () => {
    const { value } = await admin.get("/configurationManagerSiteEvents?$top=1000");
    return JSON.stringify(value).includes(message);
  }, message);
}

async function deviceOf(resourceId: number) {
  const filter = encodeURIComponent(`configurationManagerKey eq '${resourceId}'`);
  const { value } = await admin.get(`/managedDevices?$filter=${filter}`);
  return value[0];
}

test("the site's judgement of a client's health is the health of the managed device", async () => {
  synced.run();
  await synced.untilScans(1);
  await tellAll();
  const stateOf = async (resourceId: number) =>
    (await deviceOf(resourceId)).configurationManagerClientHealthState.state;
  expect(await stateOf(FIRST)).toBe("communicationError");
  expect(await stateOf(FIRST + 1)).toBe("healthy");
  const { id } = await deviceOf(FIRST);
  const { value } = await admin.get(`/managedDevices/${id}/resourceExplorer/health`);
  expect(value).toMatchObject([{ ClientStateDescription: expect.stringMatching(/^Inactive\//) }]);
});

test("a client's crash stands in the timeline of the managed device once, however often it is told", async () => {
  await synced.end();
  synced.with({ clientEventsPerHour: 36_000 }).run();
  await synced.readEvents(FIRST);
  await tellAll();
  const { id } = await deviceOf(FIRST);
  const path = `/managedDevices/${id}/timeline?$filter=${encodeURIComponent("kind eq 'client.event'")}&$search=bugcheck`;
  const crash = {
    kind: "client.event",
    title: "Kernel Crash: The computer has rebooted from a bugcheck.",
    details: { eventId: 1_001, level: "Error" },
  };
  expect((await admin.get(path)).value).toMatchObject([crash]);
  position = 0;
  await tellAll();
  expect((await admin.get(path)).value).toMatchObject([crash]);
});
