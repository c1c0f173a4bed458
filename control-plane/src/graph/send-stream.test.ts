import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "@isthmus/shared/testing/until";
import express from "express";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ApiStream } from "../core/api-operations.ts";
import { sendStream } from "./send-stream.ts";

let server: Server;
let chunks: AsyncIterable<string>;
let isSignedIn = true;
const errors: unknown[] = [];

beforeEach(async () => {
  errors.length = 0;
  isSignedIn = true;
  const app = express();
  app.get("/", async (_request, response) => {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const stream: ApiStream = { contentType: "application/x-ndjson", chunks };
    const mayGoOn = async () => isSignedIn;
    const how = { signal: gone.signal, mayGoOn };
    await sendStream(response, 200, stream, how).catch((error: unknown) => {
      errors.push(error);
      if (!response.headersSent) response.status(500).end();
    });
  });
  server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

function ask(): Promise<IncomingMessage> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, agent: false }, resolve).on("error", reject);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
}

test("pieces arrive in order, and the answer ends with the last one", async () => {
  chunks = (async function* () {
    yield "1\n";
    yield "2\n";
  })();
  const response = await ask();
  expect(response.headers["content-type"]).toBe("application/x-ndjson");
  expect(await textOf(response)).toBe("1\n2\n");
});

test("a client that does not read is not sent more than fits, and one that leaves closes the source", async () => {
  let made = 0;
  let isClosed = false;
  const piece = "x".repeat(65_536);
  chunks = (async function* () {
    try {
      for (;;) {
        made += 1;
        yield piece;
      }
    } finally {
      isClosed = true;
    }
  })();
  const response = await ask();
  response.pause();
  let before = -1;
  // Kernel and streams take some megabytes; an endless source would be asked for ever.
  await until(() => {
    const isStill = made === before;
    before = made;
    return isStill && made > 1;
  });
  expect(made).toBeLessThan(1_000);
  response.destroy();
  await until(() => isClosed);
  expect(errors).toEqual([]);
});

test("a fault before the first piece is an error answer", async () => {
  chunks = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("too early")) }),
  };
  expect((await ask()).statusCode).toBe(500);
});

test("a fault after it cuts the connection", async () => {
  chunks = (async function* () {
    yield "1\n";
    throw new Error("half way");
  })();
  await expect(ask().then(textOf)).rejects.toThrow(/aborted|hang up/);
  expect(errors).toHaveLength(1);
});

test("nothing more is sent to somebody who is signed in no more, and the source is closed", async () => {
  let isClosed = false;
  chunks = (async function* () {
    try {
      yield "1\n";
      isSignedIn = false;
      yield "2\n";
    } finally {
      isClosed = true;
    }
  })();
  let text = "";
  const reading = ask().then(async (response) => {
    for await (const chunk of response) text += String(chunk);
  });
  await expect(reading).rejects.toThrow(/aborted|hang up/);
  expect([text.includes("2"), isClosed, errors]).toEqual([false, true, []]);
});
