import { describe, expect, test } from "vitest";
import { readSkipToken, writeSkipToken } from "./skip-token.ts";

const key = Buffer.alloc(32, 1);
const refused = expect.objectContaining({ code: "odata-skip-token" });

test("sort values come back as they were", () => {
  const token = writeSkipToken(key, "devices", ["a'b", 12.5, null]);
  expect(readSkipToken(key, "devices", token)).toEqual(["a'b", 12.5, null]);
});

describe("refused", () => {
  const token = writeSkipToken(key, "devices", ["a"]);

  test("a token of another query", () => {
    expect(() => readSkipToken(key, "sites", token)).toThrow(refused);
  });

  test("a token by another key", () => {
    expect(() => readSkipToken(Buffer.alloc(32, 2), "devices", token)).toThrow(refused);
  });

  test("a changed body", () => {
    const [, mac] = token.split(".");
    const body = Buffer.from(JSON.stringify({ of: "", after: ["b"] })).toString("base64url");
    expect(() => readSkipToken(key, "devices", `${body}.${mac}`)).toThrow(refused);
  });

  test.each([[""], ["."], ["x"], [`${token}.x`], [token.slice(0, -4)]])("%s", (text) => {
    expect(() => readSkipToken(key, "devices", text)).toThrow(refused);
  });
});
