import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { openWebSocket } from "./web-socket-transport.ts";

test.each([
  [503, "websocket-busy"],
  [404, "websocket-refused"],
  [502, "websocket-refused"],
])("an upgrade answered with %i fails as %s, to be tried again", async (status, code) => {
  await using server = createServer().listen(0, "127.0.0.1");
  server.on("upgrade", (_, socket) => {
    socket.end(`HTTP/1.1 ${status} No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  });
  await once(server, "listening");
  const url = new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/link`);
  const listener = { onFrame: () => {}, onClose: () => {} };
  const opening = openWebSocket({ url }, listener, new AbortController().signal);
  await expect(opening).rejects.toMatchObject({ code, isRetryable: true });
});
