import { PassThrough } from "node:stream";
import { makeLog } from "@isthmus/shared/kernel/log";
import { expect, test } from "vitest";
import { logWithEventIds } from "./event-log.ts";

function lines(
  write: (log: ReturnType<typeof logWithEventIds>) => void,
): Record<string, unknown>[] {
  const stream = new PassThrough();
  write(logWithEventIds(makeLog("cert-connector", "info", stream)));
  const text = String(stream.read() ?? "");
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
}

test("a line of an event that Microsoft's connector knows carries its id", () => {
  const [line] = lines((log) => log.warn({ code: "challenge-used" }, "scep.refused"));
  expect(line).toMatchObject({
    msg: "scep.refused",
    code: "challenge-used",
    microsoftEventId: 4_005,
  });
});

test("other lines stay as they are", () => {
  const [first, second] = lines((log) => {
    log.info({ number: 3 }, "revocation-list.published");
    log.error("only text");
  });
  expect(first).not.toHaveProperty("microsoftEventId");
  expect(second).toMatchObject({ msg: "only text", level: 50 });
});

test("an error keeps its stack", () => {
  const [line] = lines((log) => log.error({ err: new Error("no") }, "notification.failed"));
  expect(line).toMatchObject({ microsoftEventId: 4_009, err: { message: "no" } });
});
