import { ConnectorError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { filterText, type Query } from "../protocol/admin-service/query.ts";
import { SYSTEM } from "../protocol/admin-service/rows.ts";
import { asking } from "../testing/site-under-test.ts";
import { AnswerBody } from "./answer-body.ts";
import { type RowSource, readKeyRange } from "./read-key-range.ts";

const PAGE_ROWS = 4;

/** What comes in place of the true page. */
type Fault = (truth: readonly unknown[], before: readonly unknown[]) => readonly unknown[];

const fault = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Fault>((truth) => truth) },
  fc.nat(PAGE_ROWS).map<Fault>((rows) => (truth) => truth.slice(0, rows)),
  fc.constant<Fault>((truth) => truth.toReversed()),
  fc.constant<Fault>((_truth, before) => before),
  fc
    .array(fc.oneof(fc.integer(), fc.jsonValue()), { maxLength: 6 })
    .map<Fault>((keys) => (truth) => [...truth, ...keys]),
);

/** A site of these keys; faults strike its pages one after the other, and not what is asked behind them. */
function sourceOf(keys: readonly number[], faults: readonly Fault[]): RowSource {
  let count = 0;
  let before: readonly unknown[] = [];
  return {
    async rows(_of, query: Query) {
      const [, after = "", through = "Infinity"] =
        /^K gt (\d+)(?: and K le (\d+))?$/.exec(query.filter ? filterText(query.filter) : "") ?? [];
      const found = keys.filter((key) => key > Number(after) && key <= Number(through));
      const truth = found.slice(0, query.top);
      const struck = query.top === 1 ? truth : (faults[count++]?.(truth, before) ?? truth);
      if (query.top !== 1) before = struck;
      const rows = struck.map((key) => ({ K: key }));
      return { rows, hasMore: false, body: new AnswerBody([]), servedAt: undefined };
    },
  };
}

test("whatever the pages are, a range is read whole and in order, or ends with a code", async () => {
  const site = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 20 });
  const bounds = fc.record({
    after: fc.nat(30),
    through: fc.option(fc.integer({ min: 1, max: 60 })),
  });
  await fc.assert(
    fc.asyncProperty(site, bounds, fc.array(fault), async (ids, { after, through }, faults) => {
      const keys = ids.toSorted((left, right) => left - right);
      const range = {
        ...{ of: SYSTEM, keyName: "K", after, pageRows: PAGE_ROWS, isOrdered: true },
        ...(through !== null && { through }),
      };
      const read: unknown[] = [];
      try {
        for await (const page of readKeyRange(sourceOf(keys, faults), range, asking())) {
          read.push(...page.rows.map((row) => row["K"]));
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ConnectorError);
        return;
      }
      const wanted = keys.filter((key) => key > after && key <= (through ?? Infinity));
      // A page may claim rows that the site does not have: what is there is never missing.
      expect(read).toEqual(expect.arrayContaining(wanted));
      expect(read).toEqual((read as number[]).toSorted((left, right) => left - right));
      expect(new Set(read).size).toBe(read.length);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
