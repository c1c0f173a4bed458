import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import type { Device } from "./device.ts";
import { DeviceStates } from "./device-states.ts";
import type { DeviceSource, DeviceStore } from "./ports.ts";

const device: Device = { deviceId: "d1", groups: [], compliance: "compliant", removed: false };

function statesWith(
  source: DeviceSource,
  link = { connected: false, lastContactAt: 0 as number | undefined },
) {
  const clock = new FakeClock(10_000);
  const contacts: number[] = [];
  const store: DeviceStore = {
    load: async () => ({ source, devices: [device] }),
    update: async (update) => ({ isApplied: true, changed: update.devices, forgotten: [] }),
    noteRefused: async () => {},
    noteContact: async (at) => void contacts.push(at),
  };
  const states = new DeviceStates({ store, clock, contact: () => link });
  return { states, clock, link, contacts };
}

const known: DeviceSource = { version: 3, confirmedAt: 1_000, refusedVersion: undefined };
const confirmed = (states: DeviceStates) => {
  const freshness = states.freshness();
  return freshness.source === "cloud" ? freshness.confirmedAt : "list";
};

test("states are confirmed now while the link is up, and last when it was", async () => {
  const { states, link, clock } = statesWith(known);
  await states.load();
  expect(confirmed(states)).toBe(1_000);
  link.lastContactAt = 5_000;
  expect(confirmed(states)).toBe(5_000);
  link.connected = true;
  clock.advance(500);
  expect(confirmed(states)).toBe(10_500);
});

test("a link alone confirms nothing before the first update", async () => {
  const never: DeviceSource = { version: 0, confirmedAt: undefined, refusedVersion: undefined };
  const { states } = statesWith(never, { connected: true, lastContactAt: 9_000 });
  await states.load();
  expect(confirmed(states)).toBeUndefined();
});

test("a refused update stops the clock of confirmation until it is made good", async () => {
  const { states, clock, contacts } = statesWith(known, { connected: true, lastContactAt: 10_000 });
  await states.load();
  await states.noteRefused({ version: 4, rule: "limits", sessions: 5 });
  clock.advance(60_000);
  expect(confirmed(states)).toBe(10_000);
  await states.noteContact();
  expect(contacts).toEqual([]);
  await states.apply({ version: 5, isSnapshot: false, devices: [device] });
  expect(states.source.refusedVersion).toBe(4);
  expect(confirmed(states)).toBe(10_000);
  await states.apply({ version: 6, isSnapshot: true, devices: [device] });
  expect(states.source.refusedVersion).toBeUndefined();
  expect(confirmed(states)).toBe(70_000);
});

test("a list hides the cloud's states and does not age; the cloud's come back as they are then", async () => {
  const { states } = statesWith(known);
  await states.load();
  states.useList([{ ...device, deviceId: "d9" }]);
  expect(confirmed(states)).toBe("list");
  await states.apply({ version: 4, isSnapshot: false, devices: [{ ...device, deviceId: "d2" }] });
  expect([...states.directory.all()].map((one) => one.deviceId)).toEqual(["d9"]);
  expect(states.preview({ version: 5, isSnapshot: true, devices: [] }).touched).toEqual([]);
  states.useCloud();
  expect([...states.directory.all()].map((one) => one.deviceId)).toEqual(["d1", "d2"]);
});

test("a preview names what an update touches", () => {
  const { states } = statesWith(known);
  const update = { version: 4, isSnapshot: false, devices: [device] };
  expect(states.preview(update).touched).toEqual(["d1"]);
  expect(states.preview({ ...update, isSnapshot: true }).touched).toBe("all");
});
