import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import {
  MAX_HTTP_BODY_BYTES,
  MAX_HTTP_FIELDS,
  MAX_HTTP_HEAD_BYTES,
  parseHttpHead,
} from "./http-head.ts";

const head = (line: string, ...fields: string[]) =>
  Buffer.from(`${[line, "Host: vpn.example", ...fields].join("\r\n")}\r\n\r\n`, "latin1");
const code = (line: string, ...fields: string[]) =>
  thrownCode(() => parseHttpHead(head(line, ...fields)));

test("a head has a method, a target, a version and fields", () => {
  const read = parseHttpHead(head("POST /auth HTTP/1.1", "X-Pad:   0000\t ", "Content-Length: 12"));
  expect(read).toMatchObject({
    method: "POST",
    target: "/auth",
    version: "1.1",
    contentLength: 12,
  });
  expect(read.fields.get("x-pad")).toBe("0000");
  expect(read.fields.get("X-Other")).toBeUndefined();
});

test("fields of one name stand together, the first before the others", () => {
  const { fields } = parseHttpHead(
    head("GET / HTTP/1.1", "X-CSTP-Address: 10.0.0.1", "x-cstp-address: ::1"),
  );
  expect(fields.all("X-CSTP-Address")).toEqual(["10.0.0.1", "::1"]);
  expect(fields.get("X-CSTP-Address")).toBe("10.0.0.1");
});

test("HTTP/1.0 needs no Host", () => {
  expect(parseHttpHead(Buffer.from("GET / HTTP/1.0\r\n\r\n")).version).toBe("1.0");
});

describe("a request line is refused", () => {
  test.each([
    "GET  / HTTP/1.1",
    "GET / HTTP/1.1 ",
    "get / HTTP/1.1",
    "GET / HTTP/2.0",
    "GET /",
    "GET /\x80 HTTP/1.1",
    `GET /${"a".repeat(4_096)} HTTP/1.1`,
    "",
  ])("%j", (line) => {
    expect(code(line)).toBe("http-malformed");
  });
});

describe("a field is refused", () => {
  test.each([
    ["with a space before its colon", "X-A : b"],
    ["that goes on in the next line", " b"],
    ["without a colon", "X-A"],
    ["without a name", ": b"],
    ["with a line feed alone", "X-A: b\nX-B: c"],
    ["with a carriage return alone", "X-A: b\rX-B: c"],
    ["with a zero byte", "X-A: \0"],
    ["that names a second host", "Host: other.example"],
  ])("%s", (_, field) => {
    expect(code("GET / HTTP/1.1", field)).toBe("http-malformed");
  });
});

describe("a body", () => {
  test.each(["-1", "+1", "01", "0x1", "1,1", "", "9999999999"])(
    "of length %j is refused",
    (length) => {
      expect(code("POST / HTTP/1.1", `Content-Length: ${length}`)).toBe("http-malformed");
    },
  );

  test("with two lengths is refused, though they agree", () => {
    const twice = ["Content-Length: 1", "Content-Length: 1"];
    expect(code("POST / HTTP/1.1", ...twice)).toBe("http-malformed");
  });

  test("in chunks is refused", () => {
    const chunked = "Transfer-Encoding: chunked";
    expect(code("POST / HTTP/1.1", chunked)).toBe("http-transfer-encoding");
  });

  test.each([
    [MAX_HTTP_BODY_BYTES - 1, "nothing"],
    [MAX_HTTP_BODY_BYTES, "nothing"],
    [MAX_HTTP_BODY_BYTES + 1, "http-body-size"],
  ])("may have 65,536 bytes: %i", (length, expected) => {
    expect(code("POST / HTTP/1.1", `Content-Length: ${length}`)).toBe(expected);
  });
});

test("a head may have 100 fields", () => {
  const fields = (count: number) =>
    Array.from({ length: count - 1 }, (_, index) => `X-${index}: a`);
  expect(code("GET / HTTP/1.1", ...fields(MAX_HTTP_FIELDS - 1))).toBe("nothing");
  expect(code("GET / HTTP/1.1", ...fields(MAX_HTTP_FIELDS))).toBe("nothing");
  expect(code("GET / HTTP/1.1", ...fields(MAX_HTTP_FIELDS + 1))).toBe("http-fields");
});

test("a head may have 16,384 bytes", () => {
  const bare = head("GET / HTTP/1.1", "X-Pad: ").length;
  const padded = (length: number) => code("GET / HTTP/1.1", `X-Pad: ${"0".repeat(length - bare)}`);
  expect(padded(MAX_HTTP_HEAD_BYTES - 1)).toBe("nothing");
  expect(padded(MAX_HTTP_HEAD_BYTES)).toBe("nothing");
  expect(padded(MAX_HTTP_HEAD_BYTES + 1)).toBe("http-head-size");
});

test("bytes without an empty line at their end are no head", () => {
  expect(thrownCode(() => parseHttpHead(Buffer.from("GET / HTTP/1.0\r\n")))).toBe("http-malformed");
});
