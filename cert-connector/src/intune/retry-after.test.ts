import { expect, test } from "vitest";
import { retryAfterMs } from "./retry-after.ts";

const NOON = Date.UTC(2026, 0, 1, 12);

test.each([
  [{}, undefined],
  [{ "retry-after": "2" }, 2_000],
  [{ "retry-after": "0" }, 0],
  [{ "retry-after": "Thu, 01 Jan 2026 12:00:05 GMT" }, 5_000],
  [{ "retry-after": "Thu, 01 Jan 2026 11:00:00 GMT" }, 0],
  [{ "retry-after": "86401" }, 86_400_000],
  [{ "retry-after": "86400" }, 86_400_000],
  [{ "retry-after": "soon" }, undefined],
  [{ "retry-after": "-1 s" }, undefined],
  [{ "retry-after": "9", "x-ms-retry-after-ms": "250" }, 250],
  [{ "retry-after": "9", "x-ms-retry-after-ms": "x" }, 9_000],
])("%j is %s", (headers, expected) => {
  expect(retryAfterMs(headers, NOON)).toBe(expected);
});
