import { expect, test } from "vitest";
import {
  NO_HISTORY,
  newScan,
  readHistory,
  scanToResume,
  withKind,
  withoutKind,
} from "./scan-progress.ts";

const DAY_MS = 86_400_000;
const NOW = 10 * DAY_MS;

test("a scan goes on where it was written down", () => {
  const scan = { ...withKind(newScan(NOW - 5, true), "device", NOW), through: 700, parts: 2 };
  expect(scanToResume(JSON.stringify(scan), NOW)).toEqual(scan);
  expect(withKind(scan, "device", NOW + 1)).toEqual(scan);
});

test("the next kind begins with nothing of the one before, which is done", () => {
  const devices = { ...withKind(newScan(NOW, true), "device", NOW), through: 7, hasFailed: true };
  const users = withKind(withoutKind(devices), "user", NOW + 1);
  expect(users).toEqual({
    ...{ beganAt: NOW, isWhole: true, done: ["device"], kind: "user", kindBeganAt: NOW + 1 },
    ...{ parts: 0, records: 0, hasFailed: false },
  });
});

test.each([
  ["that is a day old", JSON.stringify(newScan(NOW - DAY_MS - 1, false))],
  ["of the future", JSON.stringify(newScan(NOW + 1, false))],
  ["that ended", ""],
  ["that nobody can read", "{"],
  ["that never was", undefined],
])("a scan %s is not taken up", (_name, text) => {
  expect(scanToResume(text, NOW)).toBeUndefined();
});

test("without a history nothing was ever read", () => {
  expect([readHistory(undefined), readHistory("7")]).toEqual([NO_HISTORY, NO_HISTORY]);
});
