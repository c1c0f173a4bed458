import { ConnectorError } from "@isthmus/shared/errors";
import { expect, test } from "vitest";
import { explanationOf } from "../core/explanations.ts";
import { explainedChecks } from "./explained-checks.ts";

const failing = (error: Error) =>
  explainedChecks([{ name: "it", run: () => Promise.reject(error) }])[0]?.run();

test("a check that fails with a known code says what to do about it", async () => {
  expect(await failing(new ConnectorError("key-unreadable", "the key is odd"))).toEqual({
    status: "unhealthy",
    reason: "the key is odd",
    remedy: explanationOf("key-unreadable").remedy,
  });
});

test("what no table knows is left to the kernel", async () => {
  await expect(failing(new ConnectorError("no-such-code", "odd"))).rejects.toThrow("odd");
  await expect(failing(new TypeError("a bug"))).rejects.toThrow("a bug");
});
