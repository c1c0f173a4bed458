import { expect, test } from "vitest";
import { decodeStreamOrder, encodeStreamOrder, STREAM_ORDER_BYTES } from "./stream-order.ts";

test.each(["download", "upload", "idle"] as const)("an order to %s comes back whole", (kind) => {
  const order = { kind, count: 5_000_000_000 };
  expect(encodeStreamOrder(order)).toHaveLength(STREAM_ORDER_BYTES);
  expect(decodeStreamOrder(encodeStreamOrder(order))).toEqual(order);
});

test("a kind that there is not is refused", () => {
  expect(() => decodeStreamOrder(Buffer.alloc(STREAM_ORDER_BYTES, 9))).toThrow("no stream kind 9");
});
