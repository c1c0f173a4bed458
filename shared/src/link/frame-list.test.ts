import { expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { type Frame, readFrameList, takeFrameList } from "./frame-list.ts";

test("frames come out as they were put in", () => {
  const queue: Frame[] = ["één", Buffer.from([0, 1, 2]), ""];
  const body = takeFrameList(queue, 1_000);
  expect(queue).toEqual([]);
  expect(readFrameList(body)).toEqual(["één", Buffer.from([0, 1, 2]), ""]);
});

test("what does not fit stays in the queue, but one frame always goes", () => {
  const queue: Frame[] = ["a".repeat(50), "b".repeat(50), "c".repeat(50)];
  expect(readFrameList(takeFrameList(queue, 110))).toHaveLength(2);
  expect(readFrameList(takeFrameList(queue, 10))).toEqual(["c".repeat(50)]);
  expect(queue).toEqual([]);
});

test("an empty body holds no frame", () => {
  expect(readFrameList(Buffer.alloc(0))).toEqual([]);
});

test.each([
  ["a cut head", Buffer.from([0, 0, 0])],
  ["a cut payload", Buffer.from([0, 0, 0, 0, 2, 65])],
  ["a length of 4 GiB", Buffer.from([1, 255, 255, 255, 255])],
])("%s is refused", (_what, body) => {
  expect(thrownCode(() => readFrameList(body))).toBe("frame-list-truncated");
});

test("an unknown kind of frame is refused", () => {
  expect(thrownCode(() => readFrameList(Buffer.from([2, 0, 0, 0, 0])))).toBe("frame-list-kind");
});

test.each([
  [1_024, "nothing"],
  [1_025, "frame-list-too-long"],
])("%i frames: %s", (count, code) => {
  expect(thrownCode(() => readFrameList(Buffer.alloc(5 * count)))).toBe(code);
});
