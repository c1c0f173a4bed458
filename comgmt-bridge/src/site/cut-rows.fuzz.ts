import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { unpacked } from "../core/packed-records.ts";
import type { SiteTable, TableContent } from "../core/site-table.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { type CutRows, RowCutter } from "../protocol/admin-service/cut-rows.ts";
import { readPlainRows } from "../protocol/admin-service/page-rows.ts";
import { cutLayout, RecordAssembly, type TableRows } from "./record-assembly.ts";

const NAMES = [
  ...["ResourceID", "A", "B1", "C_c", "GroupID", "TimeStamp", "D@odata.type", "__E", "F"],
  ...["constructor", "__proto__", "7", "é (x)"],
];
const CONTENTS: readonly TableContent[] = [
  { kind: "columns", facets: { one: ["A", "B1"], two: ["F", "C_c"] } },
  { kind: "columns", facets: { one: ["C_c", "A", "F"] } },
  { kind: "rows", facet: "one" },
  { kind: "rows", facet: "one", columns: ["F", "A"] },
  { kind: "values", facet: "one", column: "A" },
];
const SPINE: TableContent = { kind: "columns", facets: {} };
const facets = new Set(["one", "two"]);

/** Texts that have something about them, as raw JSON. */
const texts = fc.oneof(
  fc.string().map((text) => JSON.stringify(text)),
  fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
  fc.constantFrom(
    ...[
      '"CORP\\\\u1"',
      '"a\\"b"',
      '"x\\":null,"',
      '"a\\",\\"B1\\":null"',
      '"\\/"',
      '"\\u0041"',
      '"\u2028"',
      '"é"',
    ],
    ...['":"', '","', '""', '"\u007f"', '"\uFEFF"', '"[]"'],
    ...['"]}"', '"},{"', '":null"', '"A\\":null"', '"\\ud800"', '"\\u001F"', '"\\u001f"', '"\\n"'],
  ),
);
const numbers = fc.constantFrom(
  ...[
    "0",
    "-0",
    "1",
    "-17",
    "123456789012345",
    "1234567890123456",
    "9007199254740993",
    "1.5",
    "0.5",
    "-0.5",
  ],
  ...["1.50", "1e3", "1E-7", "0.00001", "0.0000001", "01", "1.", "12345678.12345", "1.0"],
  ...["1.0000001", "123456789.12345", "999999999999999", "-0.00001", "1e400", "+1", ".5", "-"],
);
const textLists = fc.array(texts, { maxLength: 3 }).map((list) => `[${list.join(",")}]`);
const values = fc.oneof(
  { weight: 6, arbitrary: texts },
  { weight: 3, arbitrary: fc.constantFrom("null", "true", "false") },
  { weight: 2, arbitrary: numbers },
  { weight: 1, arbitrary: textLists },
  {
    weight: 1,
    arbitrary: fc.constantFrom("{}", "[1]", '[{"@odata.id":1,"a":null}]', " null", '["a" ]'),
  },
);

const plainValues = fc.oneof(
  { weight: 3, arbitrary: texts },
  { weight: 3, arbitrary: fc.constantFrom("null", "true", "0", "7", '["a","b"]') },
  { weight: 1, arbitrary: textLists },
);

/** A list in which most rows have the same columns, and most values are plain. */
const lists = fc
  .tuple(
    fc.shuffledSubarray(NAMES.slice(1)),
    fc.nat(8),
    fc.array(
      fc.record({
        key: fc.nat(6),
        odd: fc.nat(30),
        values: fc.array(plainValues, { minLength: 13, maxLength: 13 }),
        other: values,
      }),
      { maxLength: 6 },
    ),
    fc.constantFrom(
      "",
      '"@odata.context":"https://x/y",',
      '"@odata.nextLink":"https://x",',
      '"value":[],',
      '"@odata.next\\u004cink":"x",',
      '"@odata.nextLink":null,',
      '"a":"\\"value\\":[",',
      '"a":{"value":[]},',
      '"\\u0076alue":[{}],',
      '"__proto__":{"value":[]},',
      "\n",
    ),
    fc.constantFrom("]}", "]}", "]}", "] }", '],"@odata.nextLink":"x"}'),
  )
  .map(([others, keyAt, rows, head, end]) => {
    const names = [...others.slice(0, keyAt), "ResourceID", ...others.slice(keyAt)];
    const made = rows.map((row, at) => {
      const members = names.map((name, column) => {
        if (name === "ResourceID") return `"ResourceID":${row.key}`;
        const plain = name === "GroupID" ? String(row.odd) : row.values[column];
        return `${JSON.stringify(name)}:${row.odd === column ? row.other : plain}`;
      });
      return `{${(row.odd === 29 && at > 0 ? members.slice(1) : members).join(",")}}`;
    });
    return `{${head}"value":[${made.join(",")}${end}`;
  });

function tableOf(id: string, content: TableContent): SiteTable {
  return {
    ...{ id, of: { route: "wmi", name: id }, keyNames: ["ResourceID"], isRequired: false },
    ...{ reading: "always", rowsPerKey: 1, content },
  };
}

function assemblyOf(content: TableContent, keys: readonly unknown[], rows: Partial<TableRows>) {
  const common = { keyName: "ResourceID", select: undefined };
  const spine = keys.map((ResourceID) => ({ ResourceID }));
  const assembly = new RecordAssembly({
    spine: { ...common, table: tableOf("Spine", SPINE), rows: spine },
    facets,
  });
  // What was cut is given back when the records are made.
  const { cut = [] } = rows;
  const own = cut.map((each) => ({ ...each, octets: new Uint8Array(each.octets) }));
  assembly.add({ ...common, table: tableOf("Table", content), rows: [], ...rows, cut: own });
  return assembly;
}

function recordsOf(content: TableContent, keys: readonly unknown[], rows: Partial<TableRows>) {
  const records = assemblyOf(content, keys, rows).records();
  const texts = records.flatMap(({ facets: read }) => [...facets].map((name) => read[name]));
  const packed = [...unpacked(structuredClone(assemblyOf(content, keys, rows).packed()))];
  expect(packed.map(({ key }) => key)).toEqual(records.map(({ key }) => key));
  expect(packed.flatMap((record) => record.texts)).toEqual(texts);
  return records;
}

function parsed(page: Buffer): readonly Row[] | undefined {
  try {
    const { rows, hasMore } = readPlainRows(page);
    return hasMore ? undefined : rows;
  } catch {
    return undefined;
  }
}

function cutterOf(content: TableContent): RowCutter {
  const table = tableOf("Table", content);
  return new RowCutter(cutLayout({ table, keyName: "ResourceID", select: undefined }));
}

function expectSameRecords(content: TableContent, page: Buffer, cut: CutRows): void {
  const rows = parsed(page);
  expect(rows?.map((row) => row["ResourceID"])).toEqual(cut.keys);
  // A table of columns has one row for a key; pages in which it has two are refused before.
  if (content.kind === "columns" && new Set(cut.keys).size !== cut.keys.length) return;
  const made = recordsOf(content, cut.keys, { cut: [cut] });
  expect(made).toEqual(recordsOf(content, cut.keys, { rows: rows ?? [] }));
  for (const each of made.flatMap(({ facets: written }) => Object.values(written))) {
    expect(JSON.stringify(JSON.parse(each))).toBe(each);
  }
}

test("what is cut out of a page is what parsing it and writing it anew would give", () => {
  let count = 0;
  fc.assert(
    fc.property(lists, fc.constantFrom(...CONTENTS), (page, content) => {
      const cutter = cutterOf(content);
      const bytes = Buffer.from(page);
      // The second time with what the first has taught.
      for (const cut of [cutter.cut(bytes), cutter.cut(bytes)]) {
        if (cut === undefined) continue;
        count += cut.keys.length;
        expectSameRecords(content, bytes, cut);
      }
    }),
    { numRuns: fuzzRuns(20_000) },
  );
  // Else the property holds of nothing.
  expect(count).toBeGreaterThan(1_000);
});

test("what one page has taught a cutter tells it nothing wrong of the next", () => {
  fc.assert(
    fc.property(
      fc.array(lists, { minLength: 2, maxLength: 4 }),
      fc.constantFrom(...CONTENTS),
      (pages, content) => {
        const cutter = cutterOf(content);
        for (const page of pages) {
          const bytes = Buffer.from(page);
          const cut = cutter.cut(bytes);
          if (cut !== undefined) expectSameRecords(content, bytes, cut);
        }
      },
    ),
    { numRuns: fuzzRuns(5_000) },
  );
});

/** A page in which something was put in or taken out at any place. */
const broken = fc
  .tuple(
    lists,
    fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.constantFrom(...'"\\,:[]{}0e. \n\uFEFFA-')), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  .map(([page, cuts]) =>
    cuts.reduce((text, [place, count, put]) => {
      const at = place % (text.length + 1);
      return text.slice(0, at) + put + text.slice(at + count);
    }, page),
  );

test("a page that was tampered with is cut as it would be parsed, or not at all", () => {
  fc.assert(
    fc.property(lists, broken, fc.constantFrom(...CONTENTS), (page, tampered, content) => {
      const cutter = cutterOf(content);
      cutter.cut(Buffer.from(page));
      const bytes = Buffer.from(tampered);
      for (const cut of [cutter.cut(bytes), cutterOf(content).cut(bytes)]) {
        if (cut !== undefined) expectSameRecords(content, bytes, cut);
      }
    }),
    { numRuns: fuzzRuns(10_000) },
  );
});

test("a page of any text is cut or left to the parser, and never takes long", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 400 }), fc.nat(400), (noise, at) => {
      const page = `{"value":[{"ResourceID":1,"A":"${"\\\\".repeat(at)}x"},{"ResourceID":2,"A":"${noise}`;
      const cutter = cutterOf({ kind: "columns", facets: { one: ["A"] } });
      for (const end of ["", '"}]}', "]}"]) {
        const bytes = Buffer.from(page + end);
        const cut = cutter.cut(bytes);
        if (cut !== undefined) expect(parsed(bytes)?.length).toBe(cut.keys.length);
      }
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

/** A page in which octets were changed, so that it may be no UTF-8 any more. */
const changed = fc.tuple(
  lists,
  fc.array(
    fc.tuple(
      fc.nat(),
      fc.oneof(fc.constantFrom(0, 0x1f, 0x22, 0x5c, 0x80, 0xc3, 0xed, 0xff), fc.nat(255)),
    ),
    { minLength: 1, maxLength: 3 },
  ),
);

test("a page with octets that are no characters is left to the parser", () => {
  fc.assert(
    fc.property(changed, fc.constantFrom(...CONTENTS), ([page, changes], content) => {
      const bytes = Buffer.from(page);
      for (const [place, octet] of changes) bytes[place % bytes.length] = octet;
      const cut = cutterOf(content).cut(bytes);
      if (cut === undefined) return;
      expect(Buffer.from(bytes.toString("utf8"))).toEqual(bytes);
      expectSameRecords(content, bytes, cut);
    }),
    { numRuns: fuzzRuns(10_000) },
  );
});

test("rows of a list stand in the order of their texts, cut or parsed", () => {
  const each = fc.constantFrom(
    "a",
    "b",
    "é",
    "\uD7FF",
    "\uE000",
    "\uFFFD",
    "\u{10000}",
    "\u{10FFFF}",
    "z",
    " ",
  );
  const names = fc.array(each, { maxLength: 3 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(2), fc.constantFrom(0, 0, 1, 2), names), { maxLength: 8 }),
      (given) => {
        const rows = given.map(([ResourceID, GroupID, A]) => ({ ResourceID, GroupID, A }));
        const page = Buffer.from(JSON.stringify({ value: rows }));
        const content: TableContent = { kind: "rows", facet: "one" };
        const cut = cutterOf(content).cut(page);
        expect(cut?.keys.length).toBe(rows.length);
        if (cut === undefined) return;
        expectSameRecords(content, page, cut);
        for (const { key, facets: made } of recordsOf(content, cut.keys, { cut: [cut] })) {
          const own = rows.filter(({ ResourceID }) => String(ResourceID) === key);
          const wanted = own.map(({ GroupID, A }) => JSON.stringify({ GroupID, A }));
          const grouped = [0, 1, 2].flatMap((group) => {
            return wanted.filter((_, at) => own[at]?.GroupID === group).sort();
          });
          expect(made["one"]).toBe(`[${grouped.join(",")}]`);
        }
      },
    ),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("a page is cut however long its texts and lists are", () => {
  const many = 1_000_000;
  for (const value of [`"${"\\n".repeat(many)}"`, `[${'"",'.repeat(many)}""]`]) {
    const page = Buffer.from(`{"value":[{"ResourceID":1,"A":${value}}]}`);
    expect(cutterOf({ kind: "rows", facet: "one" }).cut(page)?.keys).toEqual([1]);
  }
});
