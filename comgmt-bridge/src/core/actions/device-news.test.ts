import { expect, test } from "vitest";
import {
  applicationNews,
  isPerhapsCut,
  mixedCounts,
  notificationNews,
  scriptNews,
} from "./device-news.ts";

const counts = { state: 0, isExpired: false, total: 2, completed: 0, failed: 0 };
const statesOf = (change: object) =>
  notificationNews([1, 2], { ...counts, ...change }).map(({ state }) => state);

test.each([
  [{}, []],
  [{ completed: 1 }, ["running", "running"]],
  [{ completed: 2 }, ["succeeded", "succeeded"]],
  [{ failed: 2, state: 2 }, ["failed", "failed"]],
  [{ completed: 1, failed: 1, state: 2 }, ["unknown", "unknown"]],
  [{ state: 1 }, ["notApplicable", "notApplicable"]],
  [{ isExpired: true }, ["expired", "expired"]],
  [{ isExpired: true, completed: 1 }, ["unknown", "unknown"]],
  [{ total: 0, completed: 0, isExpired: true }, ["expired", "expired"]],
])("a notification whose counts are %j", (change, states) => {
  expect(statesOf(change)).toEqual(states);
});

test.each([
  [{ completed: 1 }, undefined],
  [{ completed: 2 }, undefined],
  [{ isExpired: true }, undefined],
  [
    { completed: 1, failed: 1 },
    { succeeded: 1, failed: 1 },
  ],
  [
    { completed: 1, isExpired: true },
    { succeeded: 1, failed: 0, expired: 1 },
  ],
  [
    { total: undefined, completed: 2, failed: 3 },
    { succeeded: 2, failed: 3 },
  ],
])("devices with different ends are counted, here %j", (change, told) => {
  expect(mixedCounts({ ...counts, ...change })).toEqual(told);
});

const plan = { kind: "application", applicationId: "a", before: { 1: "Failed" } } as const;

test.each([
  ["install", "Installed", false, "succeeded"],
  ["install", "Installing", false, "running"],
  ["install", "Failed", false, undefined],
  ["install", "Failed", true, "failed"],
  ["install", "Requirements not met", false, "notApplicable"],
  ["install", "Restart pending", false, "running"],
  ["install", "Something new", false, undefined],
  ["install", undefined, false, undefined],
  ["uninstall", "Not installed", false, "succeeded"],
  ["uninstall", "Installed", false, undefined],
  ["repair", "Installed", false, "succeeded"],
] as const)("to %s and see %s (moved: %s) is %s", (action, status, hasMoved, state) => {
  const of = { resourceId: 1, status, errorCode: undefined, hasMoved };
  expect(applicationNews({ ...plan, action }, of)?.state).toBe(state);
});

test("to repair what was installed before says nothing until the device has moved", () => {
  const before = { ...plan, action: "repair", before: { 1: "Installed" } } as const;
  const of = { resourceId: 1, status: "Installed", errorCode: undefined };
  expect(applicationNews(before, { ...of, hasMoved: false })).toBeUndefined();
  expect(applicationNews(before, { ...of, hasMoved: true })?.state).toBe("succeeded");
});

test("a script that has neither succeeded nor failed is running", () => {
  const of = { resourceId: 1, executionState: 5, exitCode: undefined, output: "", isCut: false };
  expect(scriptNews(of)).toEqual({ resourceId: 1, state: "running" });
  expect(scriptNews({ ...of, executionState: 2, exitCode: -2147024891 })).toMatchObject({
    state: "failed",
    reason: expect.stringMatching(/^0x80070005: access was denied/),
  });
});

test("an answer is perhaps cut where no row as long as its longest would have fitted", () => {
  expect(isPerhapsCut(100_000, 1_000)).toBe(false);
  expect(isPerhapsCut(123_518, 1_000)).toBe(false);
  expect(isPerhapsCut(123_519, 1_000)).toBe(true);
});
