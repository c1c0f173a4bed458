import { expect, test } from "vitest";
import { csvLine } from "./csv.ts";

test.each<[string, unknown, string]>([
  ["nothing", null, ""],
  ["text", "plain", "plain"],
  ["a comma", "a,b", '"a,b"'],
  ["quotation marks", 'a"b', '"a""b"'],
  ["an end of line", "a\r\nb", '"a\r\nb"'],
  ["a number", -1.5, "-1.5"],
  ["a number as text", "-12", "-12"],
  ["a telephone number", "+49 30 1", "'+49 30 1"],
  ["a formula", '=HYPERLINK("x")', `"'=HYPERLINK(""x"")"`],
  ["a formula behind an at", "@SUM(A1)", "'@SUM(A1)"],
  ["a minus and a command", "-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"],
  ["a formula behind a tab", "\t=1", "'\t=1"],
  ["a formula behind a return", "\r=1", `"'\r=1"`],
  ["a formula behind an end of line", "\n=1", `"'\n=1"`],
  ["a formula of full width", "\uff1d1+1", "'\uff1d1+1"],
  ["a list", ["a", 1], '"[""a"",1]"'],
  ["a truth", true, "true"],
])("%s", (_what, value, cell) => {
  expect(csvLine([value, "z"])).toBe(`${cell},z\r\n`);
});
