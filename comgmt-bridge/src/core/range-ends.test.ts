import { ConnectorError } from "@isthmus/shared/errors";
import { expect, test } from "vitest";
import { endsAtOnce, faultOfEnds, joinedEnds, type OpenEnd } from "./range-ends.ts";

function end(after: number, through: number, ofLast: number): OpenEnd {
  return { after, through, ofLast, fault: new ConnectorError(`after-${after}`, "short") };
}

const codeOf = (ends: readonly OpenEnd[], keys: readonly unknown[]) =>
  faultOfEnds(ends, keys)?.code;

test("parts without rows are asked for with the part in front of them", () => {
  const ends = [end(-1, 9, 0), end(9, 19, 0), end(24, 29, 2), end(29, 39, 0), end(39, 49, 0)];
  expect(joinedEnds(ends)).toMatchObject([
    { after: -1, through: 19, ofLast: 0 },
    { after: 24, through: 49, ofLast: 2 },
  ]);
  // Between them is one of which is known that nothing can follow.
  expect(joinedEnds([end(24, 29, 2), end(39, 49, 0)])).toHaveLength(2);
  expect(joinedEnds([])).toEqual([]);
});

test("ends are asked for together up to as many rows as a site gives, and those without rows alone", () => {
  const some = [end(0, 9, 3), end(10, 19, 3), end(20, 29, 3), end(30, 39, 3)];
  const most = { ends: 3, rows: 100 };
  expect(endsAtOnce(some, most)).toHaveLength(3);
  expect(endsAtOnce(some, { ends: 16, rows: 100 })).toHaveLength(4);
  // One more is asked for than there are to be.
  expect(endsAtOnce(some, { ends: 16, rows: 10 })).toHaveLength(3);
  expect(endsAtOnce(some, { ends: 16, rows: 9 })).toHaveLength(2);
  expect(endsAtOnce(some, { ends: 16, rows: 1 })).toHaveLength(1);
  expect(endsAtOnce([end(0, 9, 0), ...some], most)).toHaveLength(1);
  expect(endsAtOnce([end(0, 9, 1), end(12, 19, 0)], most)).toHaveLength(1);
  expect(endsAtOnce([], most)).toEqual([]);
});

test("keys are those of the ends, no more and no fewer, or the first end that they are not of is at fault", () => {
  const ends = [end(4, 9, 2), end(14, 19, 1)];
  expect(codeOf(ends, [5, 5, 15])).toBeUndefined();
  expect(codeOf(ends, [5, 15])).toBe("after-4");
  expect(codeOf(ends, [5, 5, 9, 15])).toBe("after-4");
  expect(codeOf(ends, [5, 5])).toBe("after-14");
  expect(codeOf(ends, [5, 5, 15, 16])).toBe("after-14");
});

test("rows with a key of another form or of nowhere are rows, too", () => {
  const ends = [end(4, 9, 0)];
  expect(codeOf(ends, [])).toBeUndefined();
  expect(codeOf(ends, [undefined])).toBe("after-4");
  expect(codeOf(ends, ["5"])).toBe("after-4");
  expect(codeOf(ends, [77])).toBe("after-4");
});
