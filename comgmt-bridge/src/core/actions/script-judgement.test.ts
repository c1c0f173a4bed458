import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { type FoundParameter, judgeFoundScript, scriptArguments } from "./script-judgement.ts";

const STRING: FoundParameter = {
  ...{ name: "A", type: "System.String", isRequired: false, isHidden: false, defaultValue: "" },
  ...{ values: undefined, minimum: undefined, maximum: undefined },
  ...{ minLength: undefined, maxLength: undefined, pattern: undefined },
};
const INT: FoundParameter = { ...STRING, type: "System.Int32" };
const BOOL: FoundParameter = { ...STRING, type: "System.Boolean" };
const matches = (pattern: string, value: string) => new RegExp(`^(?:${pattern})$`).test(value);

const check = (parameter: FoundParameter, value: string) =>
  thrownCode(() => scriptArguments([{ name: "A", value }], [parameter], matches));

test.each([
  [
    INT,
    ["0", "-2147483648", "2147483647"],
    ["", "1.5", "1e3", "0x1", " 1", "2147483648", "-2147483649"],
  ],
  [{ ...INT, minimum: -1, maximum: 10 }, ["-1", "10"], ["-2", "11"]],
  [BOOL, ["true", "False"], ["", "1", "yes", "true;"]],
  [{ ...STRING, minLength: 2, maxLength: 4 }, ["ab", "abcd"], ["a", "abcde"]],
  [{ ...STRING, pattern: "[a-z]+" }, ["abc"], ["abc1", "ABC"]],
  [{ ...STRING, values: ["Inspect", "Repair"] }, ["Repair"], ["repair", "Remove"]],
  [{ ...STRING, isRequired: true }, ["x"], [""]],
  [{ ...STRING, isHidden: true }, [], ["x"]],
  [STRING, ["a b", 'say "x"', "\u00e9", "$(x)"], ["'", "\u2018", "\u0000", "a\nb", "\ud800"]],
])("%j takes what the script says and nothing else", (parameter, good, bad) => {
  for (const value of good) expect([value, check(parameter, value)]).toEqual([value, "nothing"]);
  for (const value of bad) {
    expect([value, check(parameter, value)]).toEqual([value, "script-parameter-invalid"]);
  }
});

test("a pattern that cannot be checked here lets nothing through", () => {
  const code = thrownCode(() =>
    scriptArguments(
      [{ name: "A", value: "x" }],
      [{ ...STRING, pattern: "(?<x>" }],
      () => undefined,
    ),
  );
  expect(code).toBe("script-parameter-invalid");
});

test("values come in the order of the definition, with the defaults of what is required or hidden", () => {
  const defined: readonly FoundParameter[] = [
    { ...STRING, name: "First", isRequired: true, defaultValue: "one" },
    { ...STRING, name: "Second" },
    { ...INT, name: "Third", isHidden: true, defaultValue: "3" },
    { ...STRING, name: "Fourth" },
  ];
  expect(scriptArguments([{ name: "Fourth", value: "4" }], defined, matches)).toEqual([
    { name: "First", type: "System.String", value: "one" },
    { name: "Third", type: "System.Int32", value: "3" },
    { name: "Fourth", type: "System.String", value: "4" },
  ]);
});

test("who wrote and who approved a script have to be two people that the site names", () => {
  const rule = {
    scriptGuid: "g",
    version: "1",
    sha256: "a",
    parameters: {},
    allowSelfApproval: false,
  };
  const found = { version: "1", sha256: "a", approvalState: 3, parameters: [] };
  const code = (author: string | undefined, approver: string | undefined) =>
    thrownCode(() => judgeFoundScript({ ...found, author, approver }, rule));
  expect(code("CORP\\a", "CORP\\b")).toBe("nothing");
  for (const [author, approver] of [
    ["CORP\\a", "corp\\A "],
    [undefined, "CORP\\b"],
    ["CORP\\a", ""],
    [undefined, undefined],
  ] as const) {
    expect(code(author, approver)).toBe("script-self-approved");
  }
});
