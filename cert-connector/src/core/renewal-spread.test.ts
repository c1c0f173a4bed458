import { expect, test } from "vitest";
import { renewalSpreadMs } from "./renewal-spread.ts";

const VALIDITY_MS = 100 * 86_400_000;
const key = Buffer.from("key");
const profile = { id: "device", renewalSpreadPercent: 10 };
const spreadOf = (deviceId: string) =>
  renewalSpreadMs(profile, { deviceId, subjectAltNames: [] }, key, VALIDITY_MS);

test("ten thousand devices are spread evenly over the share, and never beyond it", () => {
  const spreads = Array.from({ length: 10_000 }, (_, index) => spreadOf(`device-${index}`));
  expect(Math.max(...spreads)).toBeLessThanOrEqual(VALIDITY_MS / 10);
  expect(Math.min(...spreads)).toBeGreaterThanOrEqual(0);
  const tenths = new Array<number>(10).fill(0);
  for (const spread of spreads) {
    const tenth = Math.min(9, Math.floor((spread / (VALIDITY_MS / 10)) * 10));
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(200);
});

test("a device has the same share each time, in whole seconds; another profile gives it another", () => {
  expect(spreadOf("device-1")).toBe(spreadOf("device-1"));
  expect(spreadOf("device-1") % 1_000).toBe(0);
  const grant = { deviceId: "device-1", subjectAltNames: [] };
  const other = { id: "other", renewalSpreadPercent: 10 };
  expect(renewalSpreadMs(other, grant, key, VALIDITY_MS)).not.toBe(spreadOf("device-1"));
});

test("nothing is spread where the profile does not say so", () => {
  const grant = { deviceId: "device-1", subjectAltNames: [] };
  expect(renewalSpreadMs({ id: "device" }, grant, key, VALIDITY_MS)).toBe(0);
});

test("without a name the key decides", () => {
  const nobody = { subjectAltNames: [] };
  const one = renewalSpreadMs(profile, nobody, Buffer.from("one"), VALIDITY_MS);
  expect(one).not.toBe(renewalSpreadMs(profile, nobody, Buffer.from("two"), VALIDITY_MS));
});
