import { expect, test } from "vitest";
import { columnsOf } from "./columns.ts";
import { parseQuery } from "./parser.ts";

const columns = (text: string) => columnsOf(parseQuery(text));

test.each([
  ["Service", undefined],
  ["Service | where Name == 'a' | take 5", undefined],
  ["Service | project Device, Status=State", ["Device", "Status"]],
  ["Service | summarize n=count() by State", ["n", "State"]],
  ["Service | summarize count() by State", undefined],
  ["Service | distinct *", undefined],
  ["Service | distinct State", ["State"]],
  ["Service | count", ["Count"]],
  ["Service | project A | join (Bios | project A, B)", ["A", "A1", "B"]],
  ["Service | project A | join Bios", undefined],
])("the columns of %s are %j, where the text says them", (text, expected) => {
  expect(columns(text)).toEqual(expected);
});

test.each([
  "Service | project State | where state == 'a' | order by Device",
  "Service | project A | join (Bios | project A) | where A1 == 'a'",
  "Service | summarize max(Size) by Name | where max_Size > 5",
])("%s names only what may be there", (text) => {
  expect(() => columns(text)).not.toThrow();
});

test.each([
  [
    "Service | project Device, State | where Stat == 'a'",
    1,
    41,
    "where names the column Stat, but before it there are Device, State; did you mean State?",
  ],
  [
    "Service | distinct A | project B",
    1,
    32,
    "project names the column B, but before it there are A",
  ],
  ["Service | count | order by Name", 1, 28, "order names the column Name"],
  ["Service | summarize n=count() by A\n| top 5 by B", 2, 12, "top names the column B"],
  ["Bios | join (Service | project A | where B == 1)", 1, 42, "where names the column B"],
])("%s is refused with the place of the column", (text, line, column, words) => {
  expect(() => columns(text)).toThrow(
    expect.objectContaining({
      code: "query-column-unknown",
      position: { line, column },
      message: expect.stringContaining(words),
    }),
  );
});
