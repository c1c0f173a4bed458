import { expect, test } from "vitest";
import { allowsArgument } from "./argument-pattern.ts";

test.each([
  ["c:\\logs\\*", "C:\\Logs\\app.log"],
  ["c:\\logs\\*", "c:/logs/deep/er.log"],
  ["c:\\logs\\*", "c:\\logs\\*.log"],
  ["c:\\logs\\*", "c:\\logs\\\\a"],
  ["%windir%\\*", "%WinDir%\\system32\\*.exe"],
  ["hklm:\\software\\contoso", "HKLM:\\SOFTWARE\\Contoso"],
  ["*.log", "c:\\a\\b.log"],
  ["c:\\*\\logs\\*.log", "c:\\a\\logs\\b.log"],
  ["*", "%temp%\\anything"],
  ["\\\\server\\share\\*", "\\\\server\\share\\x"],
  ["Microsoft-Windows-*/Operational", "Microsoft-Windows-HelloForBusiness/Operational"],
  ["a*a", "aa"],
])("%s allows %s", (pattern, argument) => {
  expect(allowsArgument(pattern, argument)).toBe(true);
});

test.each([
  ["another folder", "c:\\logs\\*", "c:\\logs2\\a"],
  ["the folder itself", "c:\\logs\\*", "c:\\logs"],
  ["a way out", "c:\\logs\\*", "c:\\logs\\..\\users\\a"],
  ["a way out with slashes", "c:\\logs\\*", "c:/logs/../users/a"],
  ["a way out that Windows makes of spaces", "c:\\logs\\*", "c:\\logs\\.. \\users\\a"],
  ["a way out by a wildcard", "c:\\logs\\*", "c:\\logs\\.*\\users\\a"],
  ["an escaped wildcard", "c:\\logs\\*", "c:\\logs\\`*"],
  ["a variable where the wildcard is", "c:\\logs\\*", "c:\\logs\\%elsewhere%\\a"],
  ["a variable in a middle wildcard", "c:\\*\\logs\\*", "c:\\%elsewhere%\\logs\\a"],
  ["a wildcard wider than the pattern", "c:\\logs\\*", "c:\\*"],
  ["a wildcard beside the pattern's", "c:\\logs\\*.log", "c:\\logs\\*"],
  ["a share in place of a folder", "\\server\\share\\*", "\\\\server\\share\\x"],
  ["text that is used twice", "a*a", "a"],
  ["too long an argument", "*", "x".repeat(261)],
  ["anything, if the pattern is empty", "", "x"],
])("%s is not allowed", (_, pattern, argument) => {
  expect(allowsArgument(pattern, argument)).toBe(false);
});
