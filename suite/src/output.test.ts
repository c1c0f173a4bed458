import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { createOutput } from "./output.ts";

function printed(isJson: boolean, line: string): string {
  const stream = new PassThrough();
  createOutput(isJson, stream).serviceLine("cert-connector", line);
  return String(stream.read() ?? "");
}

test("a warning is shown with the service's name, an ordinary line is not", () => {
  expect(printed(false, '{"level":40,"msg":"the clock is behind"}')).toBe(
    "[cert-connector] warning: the clock is behind\n",
  );
  expect(printed(false, '{"level":30,"msg":"enrolment.issued"}')).toBe("");
});

test("the reason of an error stands behind its message", () => {
  expect(printed(false, '{"level":50,"msg":"link","err":{"message":"refused"}}')).toBe(
    "[cert-connector] error: link: refused\n",
  );
});

test("what is not a log line is shown as an error", () => {
  expect(printed(false, "Segmentation fault")).toBe("[cert-connector] error: Segmentation fault\n");
});

test("with JSON each line is one object", () => {
  expect(JSON.parse(printed(true, '{"level":40,"msg":"late"}'))).toEqual({
    event: "service-log",
    service: "cert-connector",
    level: "warning",
    message: "late",
  });
});
