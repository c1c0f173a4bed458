import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { until } from "@isthmus/shared/testing/until";
import { derToPem } from "@isthmus/shared/x509/pem";
import { expect, test } from "vitest";
import { HandshakeGate } from "./handshake-gate.ts";

/** A TLS server behind a gate of so many places. */
async function guarded(places: number) {
  const { certificate, key } = await testCertificate({ subject: "CN=localhost" });
  const cert = derToPem(certificate.der, "CERTIFICATE");
  const server = createServer({ cert, key: key.export({ type: "pkcs8", format: "pem" }) });
  const gate = new HandshakeGate(places);
  gate.guard(server);
  const secured: TLSSocket[] = [];
  server.on("secureConnection", (socket) => {
    secured.push(socket);
    socket.on("error", () => undefined);
    socket.end("hello");
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const clients: Socket[] = [];
  const remember = <T extends Socket>(client: T): T => {
    clients.push(client);
    client.on("error", () => undefined);
    return client;
  };
  return {
    gate,
    secured,
    silent: () => remember(connectTcp(port, "127.0.0.1")),
    /** The first octets of a handshake record, and no more. */
    half: () => {
      const client = remember(connectTcp(port, "127.0.0.1"));
      client.write(Buffer.from("160301", "hex"));
      return client;
    },
    greet: async (localAddress = "127.0.0.1") => {
      const socket = connectTcp({ port, host: "127.0.0.1", localAddress });
      const client = remember(connect({ socket: remember(socket), rejectUnauthorized: false }));
      return Buffer.concat(await client.toArray()).toString();
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      gate[Symbol.dispose]();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("more connections than places are served all, one after the other", async () => {
  await using it = await guarded(2);
  const greetings = await Promise.all(Array.from({ length: 20 }, () => it.greet()));
  expect(greetings).toEqual(Array(20).fill("hello"));
  expect(it.gate.waiting).toBe(0);
});

test("who says nothing holds no place", async () => {
  await using it = await guarded(2);
  for (let count = 0; count < 4; count += 1) await once(it.silent(), "connect");
  expect(await it.greet()).toBe("hello");
});

test("who begins a handshake and does not end it keeps half of the places at most", async () => {
  await using it = await guarded(4);
  const halves = Array.from({ length: 4 }, () => it.half());
  await until(() => it.gate.waiting === 2);
  expect(await it.greet("127.0.0.2")).toBe("hello");
  const greeting = it.greet();
  await until(() => it.gate.waiting === 3);
  for (const half of halves) half.destroy();
  expect(await greeting).toBe("hello");
});

test("a handshake that fails frees its place", async () => {
  await using it = await guarded(2);
  it.silent().end("this is no TLS");
  expect(await it.greet()).toBe("hello");
});

test("one that goes away while it waits is forgotten", async () => {
  await using it = await guarded(2);
  const first = it.half();
  const waiting = it.half();
  await until(() => it.gate.waiting === 1);
  waiting.destroy();
  first.destroy();
  await until(() => it.gate.waiting === 0);
  expect(await it.greet()).toBe("hello");
});
