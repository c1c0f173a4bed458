import { codeOf } from "@isthmus/shared/errors";
import { expect, test } from "vitest";
import { MAX_FIELDS, MAX_HEAD_BYTES } from "./answer-head.ts";
import { AnswerReader } from "./answer-reader.ts";

const MAX = 1_000;

function read(text: string, maxBytes = MAX): AnswerReader {
  const reader = new AnswerReader(maxBytes);
  reader.push(Buffer.from(text, "latin1"));
  return reader;
}

const bodyOf = (reader: AnswerReader) => Buffer.concat(reader.takeBody()).toString("latin1");

function faultOf(text: string): string {
  try {
    read(text).end();
    return "nothing";
  } catch (error) {
    return codeOf(error);
  }
}

test("a body of a stated length is whole with its last octet", () => {
  const reader = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate:  now \r\n\r\nabcd");
  expect([reader.head?.status, reader.head?.headers["date"], reader.isWhole]).toEqual([
    ...[200, "now", false],
  ]);
  reader.push(Buffer.from("e"));
  expect([reader.isWhole, reader.hasMore, bodyOf(reader)]).toEqual([true, false, "abcde"]);
});

test("chunks are put together, with what may stand around them", () => {
  const chunks = '4;name="v"\r\nabcd\r\n0A \r\n0123456789\r\n000\r\nTrailer: 1\r\n\r\n';
  const reader = read(`HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n${chunks}`);
  expect([reader.isWhole, reader.hasMore, bodyOf(reader)]).toEqual([true, false, "abcd0123456789"]);
});

test("a body without a length goes to the end of the connection, which is not kept", () => {
  const reader = read("HTTP/1.1 500 no\r\n\r\nabc");
  expect([reader.isWhole, reader.head?.keptMs]).toEqual([false, 0]);
  reader.end();
  expect([reader.isWhole, bodyOf(reader)]).toEqual([true, "abc"]);
});

test.each([
  ["HTTP/1.1 204 No\r\n\r\n", undefined],
  ["HTTP/1.1 304 No\r\ncontent-length: 7\r\n\r\n", undefined],
  ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\nKeep-Alive: timeout=5, max=9\r\n\r\n", 5_000],
  ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: Keep-Alive, Close\r\n\r\n", 0],
  ["HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", 0],
  ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", undefined],
])("%j has no body, and says how long the connection is kept", (text, keptMs) => {
  const reader = read(text);
  expect([reader.isWhole, reader.head?.keptMs, reader.takeBody()]).toEqual([true, keptMs, []]);
});

test("fields of one name are joined, whatever they are called", () => {
  const { head } = read(
    "HTTP/1.1 204 No\r\nA: 1\r\na: 2\r\n__proto__: x\r\nconstructor: y\r\n\r\n",
  );
  expect({ ...head?.headers }).toEqual({ a: "1, 2", ["__proto__"]: "x", constructor: "y" });
});

test("what comes behind an answer is seen, and none of it", () => {
  const reader = read("HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
  expect([reader.hasMore, reader.head?.status]).toEqual([true, 204]);
});

test.each([
  "HTTP/2 200 OK\r\n\r\n",
  "HTTP/1.1 600 OK\r\n\r\n",
  "HTTP/1.1 200 OK\n\n",
  "HTTP/1.1 200 OK\r\nA: 1\r\n going on\r\n\r\n",
  "HTTP/1.1 200 OK\r\nA : 1\r\n\r\n",
  "HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\n\r\n",
  "HTTP/1.1 200 OK\r\nA: \u00001\r\n\r\n",
  "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nabcde",
  "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nabcde",
  "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n\r\n",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n123456789\r\n\r\n",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
  `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;${"x".repeat(2_000)}\r\na\r\n`,
  "HTTP/1.1 101 Switching Protocols\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n".repeat(9),
  `HTTP/1.1 200 OK\r\n${"A: 1\r\n".repeat(MAX_FIELDS + 1)}\r\n`,
  `HTTP/1.1 200 OK\r\nA: ${"1".repeat(MAX_HEAD_BYTES)}`,
  `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${"A: 1\r\n".repeat(9_000)}`,
  "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcd",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n",
  "HTTP/1.1 200",
  "",
])("%j is no whole answer", (text) => {
  expect(faultOf(text)).toBe("http-answer");
});

test.each([
  [`content-length: ${MAX}\r\n\r\n`, "x".repeat(MAX), `content-length: ${MAX + 1}\r\n\r\n`],
  [
    "transfer-encoding: chunked\r\n\r\n",
    `1\r\nx\r\n3e7\r\n${"x".repeat(MAX - 1)}\r\n0\r\n\r\n`,
    "transfer-encoding: chunked\r\n\r\n1\r\nx\r\n3e8\r\n",
  ],
  ["\r\n", "x".repeat(MAX), `\r\n${"x".repeat(MAX + 1)}`],
])("a body at the bound is taken and one octet more refused: %j", (head, body, more) => {
  const reader = read(`HTTP/1.1 200 OK\r\n${head}${body}`);
  reader.end();
  expect(bodyOf(reader)).toBe("x".repeat(MAX));
  expect(faultOf(`HTTP/1.1 200 OK\r\n${more}`)).toBe("site-answer-too-large");
});

test("what is kept is a copy, in few pieces that are each a buffer of their own", () => {
  const reader = new AnswerReader(10_000_000);
  const shared = Buffer.alloc(16_384, "a");
  reader.push(Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 1638400\r\n\r\n"));
  for (let count = 0; count < 100; count += 1) reader.push(shared);
  shared.fill("b");
  const pieces = reader.takeBody();
  expect(Buffer.concat(pieces).equals(Buffer.alloc(1_638_400, "a"))).toBe(true);
  expect(pieces.length).toBeLessThan(30);
  expect(pieces.slice(0, -1).every(({ length, buffer }) => buffer.byteLength === length)).toBe(
    true,
  );
});
