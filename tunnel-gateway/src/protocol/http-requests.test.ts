import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { MAX_HTTP_HEAD_BYTES } from "./http-head.ts";
import { HttpRequests, MAX_HTTP_WAITING_BYTES } from "./http-requests.ts";

const post = (body: string) =>
  Buffer.from(`POST /auth HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);

function reader(...bytes: Buffer[]): HttpRequests {
  const requests = new HttpRequests();
  for (const one of bytes) requests.push(one);
  return requests;
}

test("a request comes out when its body is complete", () => {
  const requests = reader(post("abcdef").subarray(0, -1));
  expect(requests.next()).toBeUndefined();
  expect(requests.isMidway).toBe(true);
  requests.push(Buffer.from("f"));
  expect(requests.next()?.body.toString()).toBe("abcdef");
  expect(requests.next()).toBeUndefined();
  expect(requests.isMidway).toBe(false);
});

test("requests that come together come out one after another", () => {
  const requests = reader(Buffer.concat([post("a"), post("bc")]));
  expect(requests.next()?.body.toString()).toBe("a");
  expect(requests.next()?.body.toString()).toBe("bc");
});

test("what comes behind a CONNECT is given out as it is", () => {
  const requests = reader(Buffer.from("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nSTF\x01"));
  expect(requests.next()?.method).toBe("CONNECT");
  expect(requests.takeRest().toString("latin1")).toBe("STF\x01");
});

test("a head without an end is refused at 16,384 bytes", () => {
  const requests = reader(Buffer.alloc(MAX_HTTP_HEAD_BYTES - 1, "a"));
  expect(requests.next()).toBeUndefined();
  requests.push(Buffer.from("a"));
  expect(thrownCode(() => requests.next())).toBe("http-head-size");
});

test("no more waits than two requests of the largest size", () => {
  const requests = reader(Buffer.alloc(MAX_HTTP_WAITING_BYTES - 1));
  requests.push(Buffer.alloc(1));
  expect(thrownCode(() => requests.push(Buffer.alloc(1)))).toBe("http-waiting");
});
