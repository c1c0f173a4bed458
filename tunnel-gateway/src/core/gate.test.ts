import { describe, expect, test } from "vitest";
import { type Device, DeviceDirectory } from "./device.ts";
import { ageOfStates, judgeDevice } from "./gate.ts";

const good: Device = {
  deviceId: "d1",
  userPrincipalName: "alice@example.com",
  groups: ["staff"],
  compliance: "compliant",
  removed: false,
};
const identity = { deviceId: "d1", userPrincipalName: "alice@example.com" };

function directoryOf(...devices: Device[]): DeviceDirectory {
  const directory = new DeviceDirectory();
  directory.replace(devices);
  return directory;
}

const judge = (change: Partial<Device>, who: Partial<typeof identity> = identity) =>
  judgeDevice(who, directoryOf({ ...good, ...change }), "current");
const codeOf = (change: Partial<Device>, who?: Partial<typeof identity>) =>
  judge(change, who).refusal?.code;

test("a known, compliant device passes", () => {
  expect(judge({}).device?.deviceId).toBe("d1");
});

test.each([
  ["unknown", { deviceId: "d2" }, "device-unknown"],
  ["removed", { removed: true }, "device-removed"],
  ["non-compliant", { compliance: "noncompliant" }, "device-noncompliant"],
  ["of unknown compliance", { compliance: "unknown" }, "device-noncompliant"],
  ["another user's", { userPrincipalName: "bob@example.com" }, "device-user-mismatch"],
] as const)("a device that is %s is refused", (_, change, code) => {
  expect(codeOf(change)).toBe(code);
});

test("the reason of a device's state is shown", () => {
  const refusal = judge({ compliance: "noncompliant", reason: "disk is not encrypted" }).refusal;
  expect(refusal?.message).toBe("device d1 is not compliant: disk is not encrypted");
  expect(refusal?.rule).toBe("gate/compliance");
});

test("users are compared without regard to case, and only where both are known", () => {
  expect(codeOf({ userPrincipalName: "ALICE@example.com" })).toBeUndefined();
  expect(codeOf({ userPrincipalName: undefined })).toBeUndefined();
  expect(codeOf({}, { deviceId: "d1" })).toBeUndefined();
});

describe("a certificate without device id", () => {
  const user = { userPrincipalName: "alice@example.com" };

  test("stands for its user's only device", () => {
    expect(judge({}, user).device?.deviceId).toBe("d1");
  });

  test("stands for none where the user has several or none", () => {
    const two = directoryOf(good, { ...good, deviceId: "d2" });
    expect(judgeDevice(user, two, "current").refusal?.code).toBe("device-unknown");
    expect(judgeDevice({ sid: "S-1-5-21-1" }, two, "current").refusal?.code).toBe("device-unknown");
  });

  test("does not count devices that are removed", () => {
    const two = directoryOf(good, { ...good, deviceId: "d2", removed: true });
    expect(judgeDevice(user, two, "current").device?.deviceId).toBe("d1");
  });
});

describe("the age of states", () => {
  const limits = { maximumAgeMs: 60_000, graceMs: 30_000 };
  const age = (confirmedAt: number | undefined) =>
    ageOfStates({ source: "cloud", confirmedAt }, limits, 100_000);

  test("is current up to the maximum, then in grace, then outdated", () => {
    expect([40_001, 40_000, 39_999, 10_000, 9_999, undefined].map(age)).toEqual([
      "current",
      "current",
      "in-grace",
      "in-grace",
      "outdated",
      "outdated",
    ]);
  });

  test("does not matter for a list", () => {
    expect(ageOfStates({ source: "list" }, limits, 1e15)).toBe("current");
  });

  test("refuses a compliant device once outdated, not in grace", () => {
    const devices = directoryOf(good);
    expect(judgeDevice(identity, devices, "in-grace").device?.deviceId).toBe("d1");
    const { refusal } = judgeDevice(identity, devices, "outdated");
    expect(refusal?.code).toBe("device-state-outdated");
  });
});

test("a directory forgets a user's former device", () => {
  const directory = directoryOf(good);
  directory.put({ ...good, userPrincipalName: "bob@example.com" });
  expect(directory.ofUser("alice@example.com")).toEqual([]);
  expect(directory.ofUser("BOB@example.com")).toHaveLength(1);
  directory.forget("d1");
  expect(directory.ofUser("bob@example.com")).toEqual([]);
  expect(directory.size).toBe(0);
});
