import { openStore } from "@isthmus/shared/store/store";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { describe, expect, test } from "vitest";
import type { Device } from "../core/device.ts";
import type { GatewayOperations } from "./gateway-store.ts";

const module = new URL("./gateway-store.ts", import.meta.url);

async function openedStore() {
  const folder = temporaryFolder();
  const file = `${folder.path}/store.db`;
  const store = await openStore<GatewayOperations>({ file, module });
  return {
    store,
    file,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

function device(deviceId: string, change: Partial<Device> = {}): Device {
  return { deviceId, groups: ["staff"], compliance: "compliant", removed: false, ...change };
}

type Opened = Awaited<ReturnType<typeof openedStore>>;

const update = ({ store }: Opened, version: number, isSnapshot: boolean, ...devices: Device[]) =>
  store.run("updateDevices", { update: { version, isSnapshot, devices }, at: version * 1_000 });
const idsIn = async ({ store }: Opened) =>
  (await store.run("listDevices", { after: "", limit: 100 })).map(
    (one) => `${one.deviceId}:${one.compliance}`,
  );
const noncompliant = { compliance: "noncompliant" as const, reason: "old system" };

test("a device is kept whole", async () => {
  await using opened = await openedStore();
  const kept = device("d1", {
    ...noncompliant,
    userPrincipalName: "a@b",
    removed: true,
    groups: [],
  });
  await update(opened, 1, false, kept);
  expect(await opened.store.run("listDevices", { after: "", limit: 1 })).toEqual([kept]);
});

describe("updates", () => {
  test("a delta changes what it names, a snapshot replaces everything", async () => {
    await using opened = await openedStore();
    await update(opened, 1, true, device("d1"), device("d2"));
    await update(opened, 2, false, device("d2", noncompliant));
    expect(await idsIn(opened)).toEqual(["d1:compliant", "d2:noncompliant"]);
    const changes = await update(opened, 3, true, device("d2"));
    expect(changes).toMatchObject({ isApplied: true, forgotten: ["d1"] });
    expect(await idsIn(opened)).toEqual(["d2:compliant"]);
  });

  test("the same one again changes nothing", async () => {
    await using opened = await openedStore();
    await update(opened, 1, false, device("d1"));
    expect((await update(opened, 1, false, device("d1"))).changed).toEqual([]);
    await update(opened, 2, true, device("d1"));
    expect((await update(opened, 2, true, device("d1"))).isApplied).toBe(false);
  });

  test("a late delta does not undo what a newer one said of the device", async () => {
    await using opened = await openedStore();
    await update(opened, 5, false, device("d1", noncompliant));
    const changes = await update(opened, 4, false, device("d1"), device("d2"));
    expect(changes.changed.map((one) => one.deviceId)).toEqual(["d2"]);
    expect(await idsIn(opened)).toEqual(["d1:noncompliant", "d2:compliant"]);
  });

  test("a delta older than the last snapshot brings no device back", async () => {
    await using opened = await openedStore();
    await update(opened, 5, true, device("d1"));
    expect((await update(opened, 4, false, device("d2"))).isApplied).toBe(false);
    expect(await idsIn(opened)).toEqual(["d1:compliant"]);
  });

  test("a late snapshot leaves devices that newer deltas named", async () => {
    await using opened = await openedStore();
    await update(opened, 5, false, device("d1", noncompliant));
    await update(opened, 4, true, device("d2"));
    expect(await idsIn(opened)).toEqual(["d1:noncompliant", "d2:compliant"]);
  });

  test("version and time are kept across a restart", async () => {
    await using opened = await openedStore();
    await update(opened, 7, false, device("d1"));
    await update(opened, 6, false, device("d2"));
    await opened.store[Symbol.asyncDispose]();
    await using again = await openStore<GatewayOperations>({ file: opened.file, module });
    const source = await again.run("deviceSource");
    expect(source).toEqual({ version: 7, confirmedAt: 6_000, refusedVersion: undefined });
  });
});

describe("a refused update", () => {
  const refused = { version: 3, rule: "limits", sessions: 9, at: 3_000 };

  test("stops contact from confirming the states", async () => {
    await using opened = await openedStore();
    await update(opened, 1, true, device("d1"));
    await opened.store.run("noteContact", 2_000);
    await opened.store.run("noteRefusedUpdate", refused);
    await opened.store.run("noteContact", 9_000);
    const source = await opened.store.run("deviceSource");
    expect(source).toEqual({ version: 1, confirmedAt: 2_000, refusedVersion: 3 });
  });

  test.each([
    ["the same update", 3, false, undefined],
    ["a later snapshot", 4, true, undefined],
    ["a later delta", 4, false, 3],
    ["an earlier snapshot", 2, true, 3],
  ] as const)("after %s", async (_, version, isSnapshot, expected) => {
    await using opened = await openedStore();
    await opened.store.run("noteRefusedUpdate", refused);
    await update(opened, version, isSnapshot, device("d1"));
    expect((await opened.store.run("deviceSource")).refusedVersion).toBe(expected);
  });
});

test("every change is in the audit", async () => {
  await using opened = await openedStore();
  await update(opened, 1, true, device("d1"));
  await opened.store.run("noteRefusedUpdate", { version: 2, rule: "r", sessions: 3, at: 2_000 });
  const list = { issuerId: "i", anchor: "a", der: Buffer.from("30", "hex"), confirmedAt: 3_000 };
  await opened.store.run("putList", { ...list, number: "1", entries: 0 });
  const page = await opened.store.run("auditPage", 0);
  expect(page.map((entry) => entry.event)).toEqual([
    "devices.updated",
    "devices.refused",
    "revocation.list-replaced",
  ]);
});

test("an issuer's list is replaced, and confirmed", async () => {
  await using opened = await openedStore();
  const list = { issuerId: "i", anchor: "a", der: Buffer.from("3000", "hex"), confirmedAt: 1 };
  await opened.store.run("putList", { ...list, number: "1", entries: 0 });
  const next = { ...list, der: Buffer.from("3001", "hex"), confirmedAt: 2 };
  await opened.store.run("putList", { ...next, number: "2", entries: 0 });
  await opened.store.run("confirmList", { issuerId: "i", confirmedAt: 5 });
  const [kept, ...others] = await opened.store.run("storedLists");
  expect(others).toEqual([]);
  expect(kept?.confirmedAt).toBe(5);
  expect(Buffer.from(kept?.der ?? []).toString("hex")).toBe("3001");
});
