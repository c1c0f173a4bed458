import { expect, test } from "vitest";
import { recordGuid, recordIdOfGuid } from "./record-guid.ts";

test.each([1, 4_095, 2 ** 40])("record %d is found again by its GUID, in either case", (id) => {
  expect(recordGuid(id)).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(recordIdOfGuid(recordGuid(id))).toBe(id);
  expect(recordIdOfGuid(recordGuid(id).toUpperCase())).toBe(id);
});

test.each(["device-1", "", "1b671a64-40d5-491e-99b0-da01ff1f3341", `${recordGuid(1)}0`])(
  "%j is the id of no record",
  (id) => {
    expect(recordIdOfGuid(id)).toBeUndefined();
  },
);
