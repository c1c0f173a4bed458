import { expect, test } from "vitest";
import { columnsOf, csvLines, inPieces, MAX_COLUMNS, OTHER } from "./csv-table.ts";

const wide = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`Column${n}`, n]));

test.each([
  [MAX_COLUMNS - 1, MAX_COLUMNS + 1],
  [MAX_COLUMNS, MAX_COLUMNS + 1],
  [50_000, MAX_COLUMNS + 1],
])("rows of %i columns beside the device's make a table of %i", (count, expected) => {
  const columns = columnsOf(["deviceName"], [wide(count)]);
  expect(columns).toHaveLength(expected);
  expect(columns.at(-1)).toBe(OTHER);
});

test("what is beyond the columns stands in the last one", () => {
  const row = wide(MAX_COLUMNS + 1);
  const line = csvLines([row], columnsOf([], [row]));
  expect(line.endsWith(`,"{""Column${MAX_COLUMNS}"":${MAX_COLUMNS}}"\r\n`)).toBe(true);
});

test("a column that no row has is empty, whatever objects have of themselves", () => {
  expect(csvLines([{ a: 1 }], ["a", "constructor", "__proto__", OTHER])).toBe("1,,,\r\n");
  const row = JSON.parse('{"__proto__":"x"}');
  expect(csvLines([row], columnsOf([], [row]))).toBe("x,\r\n");
});

test("a long table is taken in pieces, and no more of it is made than was taken", () => {
  let made = 0;
  function* rows() {
    for (; made < 1_000_000; ) yield made++;
  }
  const pieces = inPieces(rows(), 500);
  expect(pieces.next().value).toHaveLength(500);
  expect(made).toBe(500);
  expect([...inPieces([1, 2, 3], 2)]).toEqual([[1, 2], [3]]);
});
