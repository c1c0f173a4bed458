import { expect, test } from "vitest";
import { KeptAnswers } from "./kept-answers.ts";

const answer = { der: Buffer.from("signed"), nextUpdate: 300, keptUntil: 150 };
const same = { revision: 7, present: 7 };

test("an answer is given again until its time is over", () => {
  const kept = new KeptAnswers();
  kept.keep("a", answer, same);
  expect(kept.find("a", 7, 149)).toBe(answer);
  expect(kept.find("a", 7, 150)).toBeUndefined();
  expect(kept.find("b", 7, 0)).toBeUndefined();
});

test("none is given once something was revoked", () => {
  const kept = new KeptAnswers();
  kept.keep("a", answer, same);
  expect(kept.find("a", 8, 0)).toBeUndefined();
  kept.keep("b", answer, { revision: 8, present: 8 });
  expect(kept.find("a", 8, 0)).toBeUndefined();
  expect(kept.find("b", 8, 0)).toBe(answer);
});

test("one that was begun before a revocation and signed after it is not kept", () => {
  const kept = new KeptAnswers();
  kept.keep("a", answer, { revision: 7, present: 8 });
  expect(kept.find("a", 8, 0)).toBeUndefined();
  expect(kept.find("a", 7, 0)).toBeUndefined();
});

test("the oldest goes at the limit", () => {
  const kept = new KeptAnswers();
  for (let n = 0; n < 8_192; n += 1) kept.keep(`c${n}`, answer, same);
  expect(kept.find("c0", 7, 0)).toBe(answer);
  kept.keep("one more", answer, same);
  expect(kept.find("c0", 7, 0)).toBeUndefined();
  expect(kept.find("c1", 7, 0)).toBe(answer);
});
