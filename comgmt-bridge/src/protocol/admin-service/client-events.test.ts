import { expect, test } from "vitest";
import { readClientEvents } from "./client-events.ts";

/** 2026-03-01T08:00:00Z */
const MARCH = 1_772_352_000_000;

const body = (...rows: object[]) =>
  Buffer.from(JSON.stringify({ "@odata.context": "x", value: rows }));

const crash = {
  MachineId: 16_777_216,
  EventTime: "2026-03-01T08:00:00Z",
  EventName: "Application Error",
  ProviderName: "Application Error",
  EventID: 1_000,
  Level: 2,
  Message: "Faulting application name: notepad.exe",
};

test("an event is read with time, name, provider, number, level and message", () => {
  const [event] = readClientEvents(body(crash));
  expect(event).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{16}$/),
    at: MARCH,
    name: "Application Error",
    provider: "Application Error",
    eventId: 1_000,
    level: "Error",
    message: "Faulting application name: notepad.exe",
  });
});

test("columns by other names are found, and those that nobody knows go along", () => {
  const row = {
    DateTime: "2026-03-01T08:00:00",
    Provider: "Boot",
    ID: "41",
    LevelDisplayName: "Critical",
    Status: 2,
    Extra: { a: 1 },
  };
  const [event] = readClientEvents(body(row));
  expect(event).toMatchObject({ provider: "Boot", eventId: 41, level: "Critical" });
  expect(event?.at).toBeDefined();
  expect(event?.columns).toEqual({ Status: 2, Extra: '{"a":1}' });
});

test("the same event is the same, however its columns are ordered", () => {
  const turned = Object.fromEntries(Object.entries(crash).toReversed());
  const events = readClientEvents(body(crash, { ...turned, "@odata.etag": "x", Nothing: null }));
  expect(events).toHaveLength(1);
});

test("events come by their time, and those without one last", () => {
  const events = readClientEvents(
    body(
      { Message: "no time" },
      { EventTime: "0001-01-01T00:00:00Z", Message: "none either" },
      { ...crash, EventTime: "2026-03-02T08:00:00Z" },
      crash,
    ),
  );
  expect(events.map(({ at }) => at)).toEqual([MARCH, MARCH + 86_400_000, undefined, undefined]);
});

test.each([
  ["a message", { Message: "m".repeat(4_097) }, true],
  ["a message of the longest", { Message: "m".repeat(4_096) }, false],
  ["a column", { Extra: "c".repeat(513) }, true],
  ["columns", Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`C${n}`, n])), true],
  ["a name of a column", { "no name": 1 }, true],
])("%s over what the wire carries is cut, and it is said", (_what, row, isCut) => {
  const [event] = readClientEvents(body(row));
  expect(event?.isCut ?? false).toBe(isCut);
});

test.each([
  ["2026-03-01T08:00:00Z", MARCH],
  ["2026-03-01T08:00:00", MARCH],
  ["2026-03-01 08:00", MARCH],
  ["2026-03-01T10:30:00.1234567+02:30", MARCH + 123],
  ["2026-13-01T00:00:00Z", undefined],
  ["1980-01-01T00:00:00Z", undefined],
  ["3/1/2026 8:00:00 AM", undefined],
  ["", undefined],
  [17, undefined],
])("the time %s is %s", (EventTime, at) => {
  expect(readClientEvents(body({ EventTime }))[0]?.at).toBe(at);
});
