import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { testAuthority, testCertificate } from "../testing/certificate-authority.ts";
import { subjectAltNameExtension } from "../x509/extensions.ts";
import { derToPem } from "../x509/pem.ts";
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

const PAYLOAD = Buffer.from("sixteen octets..");
const FRAMES = 4;

/** What a server got of some frames: their octets as they came, and what it made of them. */
async function received(server: Server, scheme: string, ca?: string) {
  await using listening = server.listen(0, "127.0.0.1");
  const sockets = new WebSocketServer({ noServer: true });
  const raw: Buffer[] = [];
  const messages: string[] = [];
  const { promise: all, resolve } = Promise.withResolvers<void>();
  server.on("upgrade", (request, socket, head) => {
    socket.on("data", (chunk: Buffer) => raw.push(Buffer.from(chunk)));
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on("message", (data) => {
        if (messages.push(String(data)) === FRAMES) resolve();
      });
    });
  });
  await once(listening, "listening");
  const url = new URL(`${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/link`);
  const listener = { onFrame: () => {}, onClose: () => {} };
  const transport = await openWebSocket({ url, ca }, listener, new AbortController().signal);
  for (let frame = 0; frame < FRAMES; frame += 1) transport.send(Buffer.from(PAYLOAD));
  await all;
  transport.close();
  return { raw: Buffer.concat(raw), messages };
}

test("frames are masked, so that nobody chooses what goes over an unencrypted connection", async () => {
  const { raw, messages } = await received(createServer(), "ws");
  expect(messages).toEqual(Array.from({ length: FRAMES }, () => String(PAYLOAD)));
  expect(raw.includes(PAYLOAD)).toBe(false);
});

test("within TLS the mask is zero, and the server takes the frames all the same", async () => {
  const validity = { notBefore: 0, notAfter: Date.now() + 86_400_000 };
  const authority = await testAuthority(validity);
  const extensions = [subjectAltNameExtension([{ type: "ip", value: "127.0.0.1" }])];
  const identity = await testCertificate(
    { subject: "CN=server", ...validity, extensions },
    authority,
  );
  const cert = derToPem(identity.certificate.der, "CERTIFICATE");
  const key = identity.key.export({ type: "pkcs8", format: "pem" });
  const trusted = derToPem(authority.certificate.der, "CERTIFICATE");
  const { raw, messages } = await received(createTlsServer({ cert, key }), "wss", trusted);
  expect(messages).toEqual(Array.from({ length: FRAMES }, () => String(PAYLOAD)));
  const frame = Buffer.concat([Buffer.of(0x82, 0x80 | PAYLOAD.length, 0, 0, 0, 0), PAYLOAD]);
  expect(raw.subarray(0, FRAMES * frame.length)).toEqual(
    Buffer.concat(Array.from({ length: FRAMES }, () => frame)),
  );
});
