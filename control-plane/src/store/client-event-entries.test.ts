import { afterEach, beforeEach, expect, test } from "vitest";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";

let site: Awaited<ReturnType<typeof inventoryFixture>>;

beforeEach(async () => {
  site = await inventoryFixture();
  await site.bridge.lease();
  await site.bridge.tell(recordsOf(1, told("1", 1, { identity: { Name: "PC-1" } })));
});
afterEach(() => site[Symbol.asyncDispose]());

const DAY_MS = 86_400_000;

const crash = {
  id: "00000000000000aa",
  at: START - DAY_MS,
  name: "Application Error",
  provider: "Application Error",
  eventId: 1_000,
  level: "Error",
  message: "Faulting application name: notepad.exe\r\nFaulting module name: x.dll",
};
const restart = { id: "00000000000000bb", at: START, provider: "Boot", eventId: 1_074 };

const entry = (events: readonly object[], of: object = {}) => ({
  ...{ type: "client-events", source: "CM1", lease: 1, key: "1", at: START, events },
  ...of,
});

const lines = async () =>
  (
    await site.rows(
      "SELECT at, title, detail FROM timeline_event WHERE kind = 'client.event' ORDER BY id",
    )
  ).map(({ at, title, detail }) => [at, title, JSON.parse(String(detail))]);

test("a client's events stand in its timeline in the order in which they are told", async () => {
  await site.bridge.tell(entry([crash, restart]));
  const { id: _crash, at: _at, ...detail } = crash;
  expect(await lines()).toEqual([
    [crash.at, "Application Error: Faulting application name: notepad.exe", detail],
    [restart.at, "Boot 1074", { provider: "Boot", eventId: 1_074 }],
  ]);
});

test("the same event told again, whenever that is, is one line", async () => {
  await site.bridge.tell(entry([crash, crash]));
  await site.bridge.tell(entry([crash, restart], { at: START + DAY_MS }));
  expect((await lines()).map(([at]) => at)).toEqual([crash.at, restart.at]);
});

test("an event without a word in it has a line, and one of the far future is dated to tomorrow", async () => {
  await site.bridge.tell(entry([{ id: "00000000000000cc", at: START + 400 * DAY_MS }]));
  const [[at, title] = []] = await lines();
  expect(title).toBe("An event on the client");
  expect(at).toBeLessThan(START + 30 * DAY_MS);
});

test.each([
  ["a device that nobody told of", { key: "2" }],
  ["another lease", { lease: 7 }],
])("events of %s are passed over", async (_what, of) => {
  await site.bridge.tell(entry([crash], of));
  expect(await lines()).toEqual([]);
});

test("events that are no events go to the dead letters", async () => {
  const columns = Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`Column${n}`, n]));
  await site.bridge.tell(entry([{ ...crash, columns }]), entry([]), entry([{ ...crash, id: "x" }]));
  expect(await lines()).toEqual([]);
  const letters = await site.rows("SELECT code FROM dead_letter");
  expect(letters.map(({ code }) => code)).toEqual(Array.from({ length: 3 }, () => "entry-invalid"));
});
