import { expect, test } from "vitest";
import { errorSentence, errorWords } from "./error-words.ts";

/** Those that the documentation explains. */
const DOCUMENTED = [
  ...[
    0x87d00202, 0x87d00207, 0x87d00213, 0x87d00215, 0x87d00235, 0x87d00244, 0x87d0027c, 0x87d00289,
  ],
  ...[
    0x87d00314, 0x87d00321, 0x87d00324, 0x87d00325, 0x87d00327, 0x87d00329, 0x87d00607, 0x87d00667,
  ],
  ...[
    0x87d01106, 0x87d01107, 0x87d01201, 0x87d01202, 0x87d01281, 0x87d0128f, 0x87d01290, 0x87d103e8,
  ],
  0x87d1076c,
];

test("each documented code has words and a remedy, signed and unsigned", () => {
  for (const code of DOCUMENTED) {
    const words = errorWords(code);
    expect(errorWords(code | 0)).toEqual(words);
    expect(words.code).toBe(`0x${code.toString(16).toUpperCase()}`);
    expect(words.message).not.toMatch(/does not explain/);
    expect(words.remedy.length).toBeGreaterThan(5);
  }
});

test("what Windows Installer ends with has words as a number and as an HRESULT", () => {
  for (const code of [
    1601, 1602, 1603, 1605, 1612, 1618, 1619, 1620, 1625, 1633, 1638, 1641, 3010,
  ]) {
    expect(errorWords(code).message).not.toMatch(/does not explain/);
    expect(errorWords(0x8007_0000 + code).message).toBe(errorWords(code).message);
  }
});

test("a code is told in one sentence, one that nobody knows too", () => {
  expect(errorSentence(-2016410844)).toMatch(/^0x87D00324: the application was not detected/);
  expect(errorSentence(1603)).toMatch(/^0x00000643: Windows Installer failed/);
  expect(errorSentence(-1)).toMatch(/^0xFFFFFFFF: a code that the documentation does not explain/);
});
