import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { MAX_HEADER_FIELDS, parseConnectRequest, type RequestHead } from "./connect-request.ts";

const good: RequestHead = {
  method: "CONNECT",
  target: "intranet.example:443",
  version: "1.1",
  rawHeaders: ["Host", "intranet.example:443", "User-Agent", "curl/8.14"],
};
const code = (change: Partial<RequestHead>) =>
  thrownCode(() => parseConnectRequest({ ...good, ...change }));
const withFields = (...fields: string[]) => ({ rawHeaders: [...good.rawHeaders, ...fields] });

test("a CONNECT names its destination", () => {
  const authority = { kind: "name", host: "intranet.example", port: 443 };
  expect(parseConnectRequest(good)).toEqual(authority);
});

test.each([
  ["GET", "connect-method"],
  ["connect", "connect-method"],
])("method %s is refused", (method, expected) => {
  expect(code({ method })).toBe(expected);
});

test("HTTP/1.0 is refused", () => {
  expect(code({ version: "1.0" })).toBe("connect-version");
});

describe("Host", () => {
  test.each(["intranet.example:443", "INTRANET.example.:443", "intranet.example"])(
    "%s agrees with the target",
    (host) => {
      expect(code({ rawHeaders: ["host", host] })).toBe("nothing");
    },
  );

  test("may leave the port out behind an IPv6 address", () => {
    const change = { target: "[2001:db8::1]:443", rawHeaders: ["Host", "[2001:db8::1]"] };
    expect(code(change)).toBe("nothing");
  });

  test.each([
    ["another name", ["Host", "other.example:443"]],
    ["another port", ["Host", "intranet.example:80"]],
    ["none", []],
    ["two", ["Host", "intranet.example:443", "host", "intranet.example:443"]],
  ])("%s is refused", (_, rawHeaders) => {
    expect(code({ rawHeaders })).toBe("connect-host");
  });
});

test.each(["Content-Length", "transfer-encoding", "Upgrade", "Expect"])(
  "%s announces a body and is refused",
  (name) => {
    expect(code(withFields(name, "0"))).toBe("connect-body");
  },
);

test("a head has at most 64 fields", () => {
  const extra = (count: number) =>
    withFields(...Array.from({ length: count * 2 }, (_, index) => `X-${index}`));
  const left = MAX_HEADER_FIELDS - 2;
  expect(code(extra(left - 1))).toBe("nothing");
  expect(code(extra(left))).toBe("nothing");
  expect(code(extra(left + 1))).toBe("connect-fields");
});

test("a target with user information is refused", () => {
  expect(code({ target: "u@intranet.example:443" })).toBe("authority-userinfo");
});
