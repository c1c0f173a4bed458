import { expect, test } from "vitest";
import { nearestName } from "./nearest-name.ts";

const names = ["Bios", "BitLocker", "BitLockerPolicy", "Device", "where"];

test.each([
  ["bios", "Bios"],
  ["Bio", "Bios"],
  ["Bois", "Bios"],
  ["BitLockr", "BitLocker"],
  ["BitlokerPolicy", "BitLockerPolicy"],
  ["WHERE", "where"],
  ["Devcie", "Device"],
])("%s is probably %s", (word, expected) => {
  expect(nearestName(word, names)).toBe(expected);
});

test.each(["", "x", "Printer", "d".repeat(65), "DeviceDevice"])("%s is like nothing", (word) => {
  expect(nearestName(word, names)).toBeUndefined();
});
