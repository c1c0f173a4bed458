import fc from "fast-check";
import { generatedQueries } from "./generated-queries.ts";

/** Words and signs of the language, and of Kusto beyond it. */
const WORDS = [
  ..."| ( ) , = == != < > <= >= + - * / % and or like !like contains !contains startswith".split(
    " ",
  ),
  ..."Device Bios device Bois Name Version Size Nmae 'a' 5 1h true now() count() max(Size)".split(
    " ",
  ),
  ..."count distinct join kind=inner order by project summarize take top where render asc desc".split(
    " ",
  ),
  ..."=~ in between has extend sort limit let union ; . [ ] on $left nulls first 'b 2w 1.2.3".split(
    " ",
  ),
  ..."not(Enabled) tolower(Name) strlen ago datetime(2026-02-30) barchart File Registry".split(" "),
];

/** Words and literals with their quotation marks; spaces and comments go with nothing. */
const PIECES = /\s*\/\/[^\n]*\n|\s+|@?'(?:[^'\\]|\\.)*'|@?"(?:[^"\\]|\\.)*"|!?\w+|[=!<>]=|./gs;

/** Queries with one to three words dropped, doubled, exchanged, replaced or put in between: some are queries still. */
export function brokenQueries(): fc.Arbitrary<string> {
  const change = fc.record({
    kind: fc.constantFrom("drop", "double", "exchange", "replace", "insert"),
    at: fc.nat(200),
    word: fc.constantFrom(...WORDS),
  });
  return fc
    .tuple(generatedQueries(), fc.array(change, { minLength: 1, maxLength: 3 }))
    .map(([{ text }, changes]) => {
      const pieces = text.match(PIECES) ?? [];
      for (const { kind, at, word } of changes) {
        const place = pieces.length === 0 ? 0 : at % pieces.length;
        const piece = pieces[place] ?? "";
        const into: Readonly<Record<typeof kind, readonly string[]>> = {
          drop: [],
          double: [piece, " ", piece],
          exchange: [pieces[place + 1] ?? "", " ", piece],
          replace: [word],
          insert: [piece, " ", word, " "],
        };
        pieces.splice(place, kind === "exchange" ? 2 : 1, ...(into[kind] ?? []));
      }
      return pieces.join("");
    });
}

/** Words of the language in no order at all. */
export function shuffledWords(): fc.Arbitrary<string> {
  return fc.array(fc.constantFrom(...WORDS), { maxLength: 40 }).map((words) => words.join(" "));
}
