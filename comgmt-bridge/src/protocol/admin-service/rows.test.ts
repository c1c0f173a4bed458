import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import type { Row } from "./answer.ts";
import {
  CLIENT_STATUS,
  CO_MANAGEMENT_STATE,
  COLLECTION,
  DEVICE,
  inventoryClass,
  MEMBERSHIP,
  readRow,
  SYSTEM,
  USER,
  WORKSTATION_STATUS,
} from "./rows.ts";

test("known properties are typed and all others kept aside as they came", () => {
  const row = { MachineId: 1, Name: "a", IsClient: 1, CNIsOnline: false, Contoso: { deep: [1] } };
  expect(readRow(DEVICE, row)).toEqual({
    known: { MachineId: 1, Name: "a", IsClient: true, CNIsOnline: false },
    others: { Contoso: { deep: [1] } },
  });
});

test.each(["ResourceID", "ResourceId"])("the key may be spelt %s", (name) => {
  expect(readRow(SYSTEM, { [name]: 7 }).known.ResourceID).toBe(7);
});

test("of two spellings at once neither is lost", () => {
  const { known, others } = readRow(SYSTEM, { ResourceId: 7, ResourceID: 8 });
  expect([known.ResourceID, others]).toEqual([7, { ResourceID: 8 }]);
});

test("every class needs its key and nothing else", () => {
  const readers = [
    (row: Row) => readRow(SYSTEM, row).known,
    (row: Row) => readRow(USER, row).known,
    (row: Row) => readRow(WORKSTATION_STATUS, row).known,
    (row: Row) => readRow(CLIENT_STATUS, row).known,
    (row: Row) => readRow(CO_MANAGEMENT_STATE, row).known,
    (row: Row) => readRow(inventoryClass("SMS_G_System_PC_BIOS"), row).known,
  ];
  for (const read of readers) {
    expect(read({ ResourceID: 1 })).toEqual({ ResourceID: 1 });
    expect(thrownCode(() => read({}))).toBe("admin-service-row");
  }
  expect(readRow(COLLECTION, { CollectionID: "SMS00001" }).known.CollectionID).toBe("SMS00001");
  const member = { ResourceID: 1, CollectionID: "SMS00001" };
  expect(readRow(MEMBERSHIP, member).known).toEqual(member);
});

test.each([
  { MachineId: 0 },
  { MachineId: "1" },
  { MachineId: 1.5 },
  { MachineId: 1, Name: 7 },
  { MachineId: 1, IsClient: 2 },
])("%j is refused with the class and property", (row) => {
  expect(() => readRow(DEVICE, row)).toThrow(/a row of Device has no usable/);
});
