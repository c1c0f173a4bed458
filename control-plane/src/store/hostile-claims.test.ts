import { afterEach, beforeEach, expect, test } from "vitest";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";

/** A bridge that was taken says of a device of its own that it is one of the administrator's. */

const ENTRA = "00000000-1111-4222-8333-000000000001";
const ACT = { actor: "admin", now: START };

let fixture: Awaited<ReturnType<typeof inventoryFixture>>;

beforeEach(async () => {
  fixture = await inventoryFixture();
  const { store, bridge } = fixture;
  const lease = (await bridge.lease())?.lease ?? 0;
  await bridge.tell(recordsOf(lease, claim("16777216", 1)));
  await store.run("createDevice", {
    ...{ ...ACT, id: "laptop", deviceName: "LAPTOP", azureADDeviceId: ENTRA, groups: ["staff"] },
    compliance: "noncompliant",
  });
});
afterEach(() => fixture[Symbol.asyncDispose]());

const claim = (key: string, revision: number) =>
  told(key, revision, {
    identity: { Name: `PC${key}`, AADDeviceID: ENTRA, managedDeviceId: "laptop" },
    stable: {
      ...{ complianceState: "compliant", compliance: "compliant", groups: ["administrators"] },
      ...{ MDMEnrolled: 1, ComgmtPolicyPresent: 1, CoManagementFlags: 255, Client: 1 },
    },
    volatile: { LastActiveTime: new Date(START + revision).toISOString(), CNIsOnline: true },
  });

async function rogue() {
  const bridge = await fixture.connector("rogue");
  const lease = (await bridge.lease({ source: "EV1" }))?.lease ?? 0;
  await bridge.tell({ ...recordsOf(lease, claim("16777299", 9)), source: "EV1" });
  return { bridge, lease };
}

const entry = async () => (await fixture.rows("SELECT * FROM managed_device"))[0];

function request(managedDeviceId: string, id = "a1") {
  return fixture.store.run("requestSiteAction", {
    ...{ ...ACT, id, commandId: `c-${id}`, target: { managedDeviceId }, kind: "site.notify" },
    ...{ action: "refreshMachinePolicy", details: {}, requestHash: "h", expiresAt: START + 60_000 },
    payload: { notification: "refreshMachinePolicy" },
  });
}

test("neither its compliance nor its groups are another's to change", async () => {
  const before = await entry();
  await rogue();
  expect(await entry()).toEqual(before);
  expect(before).toMatchObject({ compliance: "noncompliant", groups: '["staff"]' });
});

test("nothing is asked of the one that claims it while another site has it, until somebody says which is meant", async () => {
  await request("laptop");
  await rogue();
  await expect(request("laptop", "a2")).rejects.toMatchObject({ code: "device-ambiguous" });
  const [genuine] = await fixture.rows("SELECT id FROM inventory_record WHERE key = '16777216'");
  await fixture.store.run("changeDevice", {
    ...{ ...ACT, id: "laptop", recordId: Number(genuine?.["id"]) },
  });
  await request("laptop", "a3");
  const commands = await fixture.rows("SELECT connector_id, body FROM command ORDER BY created_at");
  expect(commands.map((row) => row["connector_id"])).toEqual(["bridge", "bridge"]);
});

test("another source's records, leases and actions are not its to tell of", async () => {
  await request("laptop");
  const { bridge, lease } = await rogue();
  expect(await bridge.lease()).toMatchObject({ isHeld: false });
  for (const number of [1, lease, 2]) {
    await bridge.tell(recordsOf(number, told("16777216", 99, { identity: { Name: "TAKEN" } })));
    await bridge.tell({
      ...{ type: "deleted", source: "CM1", lease: number, kind: "device", at: START, revision: 99 },
      ...{ keys: ["16777216"], evidence: { how: "tombstone", scans: [] } },
    });
  }
  const [row] = await fixture.rows("SELECT * FROM inventory_record WHERE key = '16777216'");
  expect(row).toMatchObject({ name: "PC16777216", deleted_at: null });
  for (const source of ["CM1", "EV1"]) {
    const progress = { type: "progress", source, commandId: "c-a1", at: START };
    const devices = [{ key: "16777216", state: "succeeded" }];
    const line = JSON.stringify({ ...progress, devices });
    const outcome = await bridge.tellLines([line], {
      stream: "actions",
      firstSeq: source === "CM1" ? 1 : 2,
    });
    expect(outcome.rejected).toMatchObject([{ code: "action-contradicts" }]);
  }
  expect(await fixture.rows("SELECT state FROM device_action")).toEqual([{ state: "queued" }]);
});
