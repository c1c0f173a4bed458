import { expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { entityOf } from "./entities.ts";
import { MAX_COLUMNS, MAX_JOINS, MAX_NESTING, MAX_QUERY_CHARACTERS } from "./limits.ts";
import { parseQuery } from "./parser.ts";
import { printQuery } from "./printer.ts";
import { QueryError } from "./query-error.ts";

const canonical = (text: string) => printQuery(parseQuery(text));
const code = (text: string) => thrownCode(() => parseQuery(text));

function refusal(text: string): QueryError {
  try {
    parseQuery(text);
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
  throw new Error(`${text} was taken`);
}

test.each([
  ["an entity alone", "OperatingSystem", "OperatingSystem"],
  ["an entity in another case", "operatingsystem | count", "OperatingSystem | count"],
  [
    "comments, lines and tabs",
    "// who is full\nLogicalDisk\t\n| where FreeSpace < 1000 // bytes\n| take 5",
    "LogicalDisk | where FreeSpace < 1000 | take 5",
  ],
  ["nested tables in a row", "((Bios | take 3) | count)", "Bios | take 3 | count"],
  [
    "a filter by time",
    "AppCrash | where DateTime > ago(24h) and FileName like '%word%'",
    "AppCrash | where (DateTime > ago(24h)) and (FileName like '%word%')",
  ],
  [
    "negated text operators with and without a space",
    "Service | where Name !contains 'x' and Name!startswith 'a' or Name !endswith 'b'",
    "Service | where ((Name !contains 'x') and (Name !startswith 'a')) or (Name !endswith 'b')",
  ],
  [
    "groups, and the name that the console gives to the figure",
    "Disk | summarize dcount(Device), Free=max(FreeSpace) by Name | where dcount_ > 2",
    "Disk | summarize dcount(Device), Free=max(FreeSpace) by Name | where dcount_ > 2",
  ],
  ["summarize by alone", "Disk | summarize by Name", "Disk | summarize by Name"],
  [
    "a join on the device without saying so",
    "Bios | project Device, V=Version | join kind=leftouter (OS | project Device, Caption)",
    "Bios | project Device, V=Version | join kind=leftouter (OS | project Device, Caption)",
  ],
  ["a join without parentheses", "Bios | join OS | count", "Bios | join (OS) | count"],
  [
    "iff, the other name of iif",
    "EPStatus | project Age=iff(isnull(X), 'none', tostring(X))",
    "EPStatus | project Age=iif(isnull(X), 'none', tostring(X))",
  ],
  [
    "arguments of entities",
    `eventlog("System", 1h) | top 3 by DateTime desc`,
    "EventLog('System', 1h) | top 3 by DateTime desc",
  ],
  ["verbatim text", `File(@'c:\\logs\\*.log')`, `File('c:\\\\logs\\\\*.log')`],
  ["a doubled quotation mark", `OS | where A == @'it''s'`, `OS | where A == 'it\\'s'`],
  [
    "numbers in other forms",
    "OS | where A == 0x1F or B > 007.50",
    "OS | where (A == 31) or (B > 7.50)",
  ],
  ["a number below zero", "OS | where A == - 1", "OS | where A == -1"],
  [
    "points in time",
    "OS | where A > datetime( 2026-02-28T23:59:59.5Z ) and B < datetime(2026-01-01)",
    "OS | where (A > datetime(2026-02-28 23:59:59.5)) and (B < datetime(2026-01-01))",
  ],
  [
    "text operators before products, products before sums, sums before comparisons",
    "OS | where A - B * 2 - C > 3 == true",
    "OS | where ((A - (B * 2) - C) > 3) == true",
  ],
  ["a difference of a difference", "OS | project A - (B - C)", "OS | project A - (B - C)"],
  ["all columns", "OS | distinct *", "OS | distinct *"],
  ["order of several columns", "OS | order by A asc, B", "OS | order by A asc, B"],
  [
    "functions of time",
    "OS | project Age=datetime_diff('day', now(), Boot), Next=datetime_add('hour', 2, Boot), Slot=bin(Boot, 1d)",
    "OS | project Age=datetime_diff('day', now(), Boot), Next=datetime_add('hour', 2, Boot), Slot=bin(Boot, 1d)",
  ],
  [
    "a case of several",
    "OS | project K=case(A > 1, 'big', A == 1, 'one', 'none')",
    "OS | project K=case(A > 1, 'big', A == 1, 'one', 'none')",
  ],
])("%s is read, and printed in one way", (_, written, expected) => {
  expect(canonical(written)).toBe(expected);
  expect(canonical(expected)).toBe(expected);
});

test.each([
  [
    "query-operator-unknown",
    "Device | wher A == 1",
    /column 10: CMPivot has no operator wher; did you mean where\?/,
  ],
  ["query-operator-unknown", "Device | WHERE A == 1", /did you mean where\?/],
  [
    "query-function-unknown",
    "Device | project substing(A, 1)",
    /substing\(\); did you mean substring\?/,
  ],
  ["query-function-unknown", "Device | project parse_json(A)", /no function parse_json\(\)$/],
  ["query-outside-language", "Device | where A =~ 'b'", /has no =~: write ==/],
  ["query-outside-language", "Device | where A in ('b')", /has no in: write one == for each value/],
  ["query-outside-language", "Device | extend A = 1", /has no extend: write project/],
  ["query-outside-language", "Device | sort by A", /write order by/],
  ["query-outside-language", "Device; Bios", /one statement/],
  ["query-outside-language", "let x = 1", /one statement/],
  ["query-outside-language", "Device | join (OS) on Device", /always on the Device column/],
  ["query-outside-language", "Device | where A == h'secret'", /hidden text/],
  [
    "query-render-refused",
    "OS | count | render barchart",
    /console and is not supported elsewhere/,
  ],
  ["query-syntax", "Device()", /expected text in quotation marks for Device\(\), but \) came/],
  ["query-function-unknown", "OS | where A > datetime (2026-01-01)", /no function datetime\(\)/],
  ["query-syntax", "", /line 1, column 1: expected an entity such as Device, but the end came/],
  ["query-syntax", "Device |", /expected an operator such as where or project, but the end came/],
  ["query-syntax", "Device | take ten", /expected a number of rows, but ten came/],
  ["query-syntax", "Device | take 2147483648", /a number of rows/],
  ["query-syntax", "Device | order A", /expected by after order, but A came/],
  [
    "query-syntax",
    "Device | project A,",
    /expected a column, a value or a function, but the end came/,
  ],
  ["query-syntax", "Device | join kind=outer (OS)", /expected one of innerunique, inner/],
  ["query-syntax", "Device | where A == 1 == B", /parentheses around one of two comparisons/],
  [
    "query-syntax",
    "Device\n| where (A == 1\n| take 3",
    /line 3, column 1: expected \) or an operator, but \| came/,
  ],
  [
    "query-character-refused",
    "Device | where A == \u2018x\u2019",
    /U\+2018 is here, a typographic quotation mark/,
  ],
  [
    "query-character-refused",
    "Device\u00a0| count",
    /U\+00A0 is here, a space that does not break/,
  ],
  ["query-character-refused", "Device | where A == 'x\u0000'", /control character U\+0000/],
  ["query-character-refused", "Device | where A == '\\ud800'", /half of a surrogate pair/],
  ["query-literal-malformed", "Device | where A == 'x", /not closed by ' before its line ends/],
  ["query-literal-malformed", "File('c:\\logs')", /a backslash is written twice/],
  [
    "query-literal-malformed",
    "Device | where A > ago(2w)",
    /2w is neither a number nor a timespan/,
  ],
  ["query-literal-malformed", "OS | where A > datetime(2026-02-29)", /is no point in time/],
  ["query-literal-malformed", "OS | where A > datetime(now)", /is no point in time/],
  ["query-literal-malformed", "OS | where A > 9223372036854775808", /above 9223372036854775807/],
  [
    "query-arguments-wrong",
    "Registry",
    /needs the path of a registry key: write Registry\('...'\)/,
  ],
  ["query-arguments-wrong", "File('c:\\\\x', 1h)", /write File\('...'\)/],
  ["query-arguments-wrong", "CcmLog('Scripts', 0h)", /write CcmLog\('...', 24h\)/],
  [
    "query-arguments-wrong",
    "Registri('x')",
    /no entity that takes arguments; did you mean Registry\?/,
  ],
  ["query-arguments-wrong", "Device | project strlen()", /takes 1 arguments, but 0 came/],
  ["query-arguments-wrong", "Device | project case(A, 1)", /3 to 63 arguments/],
  [
    "query-arguments-wrong",
    "Device | project case(A, 1, B, 2)",
    /pairs of a predicate and a value/,
  ],
  ["query-arguments-wrong", "OS | project datetime_diff('hours', now(), A)", /did you mean hour\?/],
  ["query-arguments-wrong", "OS | project datetime_add(A, 1, now())", /one of year, quarter/],
  ["query-aggregate-misplaced", "OS | where count() > 1", /belongs after summarize/],
  ["query-aggregate-misplaced", "OS | summarize Name", /needs an aggregate such as count/],
  ["query-aggregate-misplaced", "OS | summarize max(count())", /belongs after summarize/],
  ["query-column-repeated", "OS | summarize A=count() by A", /the column A is there already/],
  ["query-column-repeated", "OS | project A, B, A", /the column A is there already/],
  [
    "query-type-wrong",
    "OS | where 5",
    /where has to be something that is true or false, but is a number/,
  ],
  ["query-type-wrong", "OS | where A == 1 and 'x'", /the right side of and/],
  ["query-type-wrong", "OS | where A contains 5", /the right side of contains has to be a string/],
  ["query-type-wrong", "OS | where 'a' > 5", /in no order/],
  ["query-type-wrong", "OS | project 'a' + 'b'", /no \+ of a string and a string/],
  ["query-type-wrong", "OS | project now() + now()", /no \+ of a datetime and a datetime/],
  ["query-type-wrong", "OS | project -'a'", /cannot stand before a string/],
  ["query-type-wrong", "OS | where A > ago(5)", /argument 1 of ago\(\) has to be a timespan/],
])("%s: %s", (expected, text, message) => {
  const error = refusal(text);
  expect(error.code).toBe(expected);
  expect(error.message).toMatch(message);
});

test("an error points at the word that is wrong", () => {
  expect(refusal("Device\n// first\n  | where A == 1\n  | tak 3").position).toEqual({
    line: 4,
    column: 5,
  });
});

test("an undocumented entity is read as written: it may be a class of the own inventory", () => {
  expect(canonical("Contoso_Asset | count")).toBe("Contoso_Asset | count");
  expect(entityOf("Contoso_Asset")).toBeUndefined();
});

test("characters that cannot be seen are escaped in the canonical text", () => {
  expect(canonical("OS | where A == 'a\u202eb\u00a0c\u{e0041}'")).toBe(
    "OS | where A == 'a\\u202eb\\u00a0c\\udb40\\udc41'",
  );
});

const joins = (count: number) => `OS${" | join (Bios)".repeat(count)}`;
const columns = (count: number) =>
  Array.from({ length: count }, (_, index) => `C${index}`).join(", ");
const parentheses = (count: number) => `OS | where ${"(".repeat(count)}A${")".repeat(count)}`;
const characters = (count: number) => `OS | where A == '${"x".repeat(count - 18)}'`;

test.each([
  ["joins", joins, MAX_JOINS, "query-too-many-joins"],
  [
    "joins within joins",
    (count: number) => `${"OS | join (".repeat(count)}OS${")".repeat(count)}`,
    MAX_JOINS,
    "query-too-many-joins",
  ],
  [
    "columns",
    (count: number) => `OS | project ${columns(count)}`,
    MAX_COLUMNS,
    "query-too-many-columns",
  ],
  ["nesting", parentheses, MAX_NESTING, "query-nested-too-deeply"],
  ["characters", characters, MAX_QUERY_CHARACTERS, "query-too-long"],
])("the limit of %s holds below, at and above it", (_, make, max, expected) => {
  expect(code(make(max - 1))).toBe("nothing");
  expect(code(make(max))).toBe("nothing");
  expect(code(make(max + 1))).toBe(expected);
});

test("columns of both sides of a join count together", () => {
  const joined = (left: number, right: number) =>
    `OS | project ${columns(left)} | join (Bios | project ${columns(right)})`;
  expect(code(joined(32, 32))).toBe("nothing");
  expect(code(joined(33, 32))).toBe("query-too-many-columns");
});

test("a chain of operators is bounded by the length of the text alone", () => {
  expect(code(`OS | where A${"+A".repeat(985)} > 1`)).toBe("nothing");
});

test("a mixed chain is refused where its canonical text would nest too deeply", () => {
  const chain = (count: number) => `OS | where A${"+A-A".repeat(count)} > 1`;
  expect(code(chain(MAX_NESTING / 2 - 1))).toBe("nothing");
  expect(code(chain(MAX_NESTING))).toBe("query-nested-too-deeply");
});

test("a text whose escapes would exceed the limit is refused", () => {
  expect(code(`OS | where A == '${"\u00a0".repeat(700)}'`)).toBe("query-too-long");
});
