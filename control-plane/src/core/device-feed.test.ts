import { commandPayloads, type DeviceState, MAX_JWS_BYTES } from "@isthmus/shared/link/messages";
import { expect, test } from "vitest";
import { MAX_DEVICES_PER_UPDATE, MAX_UPDATE_BYTES, updatesFor } from "./device-feed.ts";

const device = (n: number, reason = ""): DeviceState => ({
  deviceId: `device-${n}`,
  groups: [],
  compliance: "compliant",
  reason,
  removed: false,
});
const fleet = (count: number, reason?: string) =>
  Array.from({ length: count }, (_, n) => device(n, reason));

function counter(): () => number {
  let version = 0;
  return () => ++version;
}

test("no device at all is an empty snapshot, so that the gateway forgets what it knew", () => {
  expect(updatesFor([], false, counter())).toEqual([{ version: 1, isSnapshot: true, devices: [] }]);
});

test("a fleet that fits one command is a snapshot", () => {
  const updates = updatesFor(fleet(MAX_DEVICES_PER_UPDATE), false, counter());
  expect(updates.map((update) => update.isSnapshot)).toEqual([true]);
});

test("one device more is a series of changes for a gateway that serves", () => {
  const updates = updatesFor(fleet(MAX_DEVICES_PER_UPDATE + 1), false, counter());
  expect(
    updates.map(({ version, isSnapshot, devices }) => [version, isSnapshot, devices.length]),
  ).toEqual([
    [1, false, MAX_DEVICES_PER_UPDATE],
    [2, false, 1],
  ]);
});

test("a new gateway gets the first part as a snapshot", () => {
  const updates = updatesFor(fleet(MAX_DEVICES_PER_UPDATE + 1), true, counter());
  expect(updates.map((update) => update.isSnapshot)).toEqual([true, false]);
});

test("devices with long texts are cut by bytes, none lost, each part fits a JWS and the wire schema", () => {
  const updates = updatesFor(fleet(900, "x".repeat(1_000)), false, counter());
  const sizes = updates.map((update) => Buffer.byteLength(JSON.stringify(update)));
  expect(updates.length).toBeGreaterThan(1);
  expect(Math.max(...sizes)).toBeLessThan(MAX_UPDATE_BYTES + 1_000);
  expect((Math.max(...sizes) * 4) / 3).toBeLessThan(MAX_JWS_BYTES - 50_000);
  expect(updates.flatMap((update) => update.devices)).toHaveLength(900);
  for (const update of updates) commandPayloads["devices.update"].parse(update);
});
