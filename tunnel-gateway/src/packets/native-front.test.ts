import { once } from "node:events";
import { connect, createServer, Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import {
  type EngineUnderTest,
  serverIdentity,
  startEngine,
  whyNoEngine,
} from "../testing/engine-under-test.ts";

/** The first flight of a Node client: records with its ClientHello. */
async function clientHello(options: { servername?: string; ALPNProtocols?: string[] } = {}) {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const listener = createServer((socket) => socket.once("data", resolve));
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as { port: number };
  const client = connectTls({ port, host: "127.0.0.1", servername: "localhost", ...options });
  client.on("error", () => {});
  const hello = await promise;
  client.destroy();
  listener.close();
  return hello;
}

/** Whatever the end is: a reset is one, too. */
function gone(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("close", () => resolve());
  return promise;
}

/** A server of Node's own that is given the sockets which the front does not serve. */
function nodeServer(front: EngineUnderTest, secure: (socket: TLSSocket) => void) {
  const { certificate: cert, key } = serverIdentity;
  const server = createTlsServer({ cert, key, ALPNProtocols: ["h2", "http/1.1"] }, secure);
  front.record.handed = (handed) => {
    front.record.sockets.push(handed);
    const { fd } = handed;
    server.emit("connection", new Socket({ fd, readable: true, writable: true }));
  };
}

/** A PROXY header of version 2 with these TLVs. */
function proxyV2(source: readonly number[], port: number, values = Buffer.alloc(0)): Buffer {
  const isIpv4 = source.length === 4;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(port);
  ports.writeUInt16BE(443, 2);
  const destination = isIpv4 ? [198, 51, 100, 7] : [0x20, 1, 0xd, 0xb8, ...Buffer.alloc(12)];
  const body = Buffer.concat([Buffer.from([...source, ...destination]), ports, values]);
  const head = Buffer.from("0d0a0d0a000d0a515549540a210000000000", "hex").subarray(0, 16);
  head[13] = isIpv4 ? 0x11 : 0x21;
  head.writeUInt16BE(body.length, 14);
  return Buffer.concat([head, body]);
}

/** A TLS client that sends `header` first. */
async function openBehind(front: EngineUnderTest, header: Buffer | string, cut?: number) {
  const socket = connect(front.port, "127.0.0.1");
  await once(socket, "connect");
  const bytes = Buffer.from(header);
  socket.write(bytes.subarray(0, cut));
  if (cut !== undefined) socket.write(bytes.subarray(cut));
  const client = connectTls({ socket, ca: serverIdentity.certificate, servername: "localhost" });
  client.on("error", () => {});
  return client;
}

describe.skipIf(whyNoEngine !== undefined)("the front of the native engine", () => {
  test.each([
    { why: "ALPN offers h2", of: { ALPNProtocols: ["h2", "http/1.1"] } },
    { why: "the server name is the relay's", of: { servername: "Relay.example" } },
  ])("hands a socket to Node untouched where $why", async ({ of }) => {
    await using front = await startEngine({ relayServerNames: ["relay.EXAMPLE"] });
    nodeServer(front, (socket) => socket.end(`from Node: ${socket.alpnProtocol}`));
    const trust = { ca: serverIdentity.certificate, checkServerIdentity: () => undefined };
    const client = connectTls({ port: front.port, host: "127.0.0.1", ...trust, ...of });
    const [answer] = await once(client, "data");
    expect(String(answer)).toBe(`from Node: ${client.alpnProtocol}`);
    expect(front.record.sockets[0]).toMatchObject({
      remoteAddress: "127.0.0.1",
      remotePort: client.localPort,
      localAddress: "127.0.0.1",
    });
    expect(front.record.connections).toEqual([]);
    await until(() => front.engine.counters()["frontPending"] === 0);
    client.destroy();
  });

  test("takes a ClientHello byte by byte", async () => {
    await using front = await startEngine();
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const socket = await front.dial();
    socket.once("data", resolve);
    socket.setNoDelay(true);
    for (const byte of await clientHello()) {
      const { promise: sent, resolve: onSent } = Promise.withResolvers<void>();
      socket.write(Buffer.from([byte]), () => onSent());
      await sent;
    }
    const answer = await promise;
    // A handshake record: the ServerHello.
    expect(answer[0]).toBe(22);
    expect(answer[5]).toBe(2);
  });

  test("takes a ClientHello that is spread over several records", async () => {
    await using front = await startEngine();
    nodeServer(front, () => {});
    const hello = await clientHello({ ALPNProtocols: ["h2"] });
    const [header, body] = [hello.subarray(0, 3), hello.subarray(5)];
    const record = (from: number, to: number) => {
      const piece = body.subarray(from, to);
      return Buffer.concat([header, Buffer.from([piece.length >> 8, piece.length & 0xff]), piece]);
    };
    const socket = await front.dial();
    socket.write(Buffer.concat([record(0, 2), record(2, 90), record(90, 91)]));
    socket.write(record(91, body.length));
    await until(() => front.record.sockets.length === 1, "handed");
  });

  test.each([
    { what: "HTTP in clear", bytes: Buffer.from("GET / HTTP/1.1\r\n\r\n") },
    { what: "an alert", bytes: Buffer.from("15030100020100", "hex") },
    { what: "an empty record", bytes: Buffer.from("1603010000", "hex") },
    { what: "a record over 16 KiB", bytes: Buffer.from("1603014001", "hex") },
    { what: "a hello over 16 KiB", bytes: Buffer.from("16030100040100400c", "hex") },
    { what: "a hello in too many records", bytes: Buffer.from("1603010001".repeat(64), "hex") },
    { what: "a PROXY header of nobody we trust", bytes: proxyV2([192, 0, 2, 1], 1_000) },
  ])("refuses $what before any TLS", async ({ bytes }) => {
    await using front = await startEngine();
    const socket = await front.dial();
    socket.resume().write(bytes);
    await gone(socket);
    expect(front.record.failures).toEqual([{ remoteAddress: "127.0.0.1", reason: "client-hello" }]);
  });

  test("tells of a client that goes before its hello is whole", async () => {
    await using front = await startEngine();
    const socket = await front.dial();
    socket.resume().end((await clientHello()).subarray(0, 100));
    await gone(socket);
    await until(() => front.record.failures.length === 1);
    expect(front.record.failures[0]?.reason).toBe("closed");
  });

  test("lets nobody take longer than the handshake may", async () => {
    await using front = await startEngine({ handshakeSeconds: 1 });
    const hello = await clientHello();
    const silent = await front.dial();
    const slow = await front.dial();
    slow.write(hello.subarray(0, 100));
    const halfway = await front.dial();
    halfway.write(hello);
    await Promise.all([silent, slow, halfway].map((socket) => gone(socket.resume())));
    await until(() => front.record.failures.length === 3);
    expect(front.record.failures.map(({ reason }) => reason)).toEqual(Array(3).fill("timeout"));
  });

  describe("behind a load balancer", () => {
    const proxyProtocolFrom = ["127.0.0.0/8"];

    test.each([
      { version: "1", header: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n" },
      { version: "2", header: proxyV2([192, 0, 2, 1], 56_324) },
      {
        version: "2 with values",
        header: proxyV2([192, 0, 2, 1], 56_324, Buffer.from([4, 0, 1, 0])),
      },
    ])("believes a PROXY header of version $version", async ({ header }) => {
      await using front = await startEngine({ proxyProtocolFrom });
      const client = await openBehind(front, header);
      const connection = await until(() => front.record.connections[0], "opened");
      expect(connection).toMatchObject({
        remoteAddress: "192.0.2.1",
        remotePort: 56_324,
        localAddress: "198.51.100.7",
      });
      client.destroy();
    });

    test("believes a header of IPv6 that comes in pieces", async () => {
      await using front = await startEngine({ proxyProtocolFrom });
      const client = await openBehind(
        front,
        proxyV2([0x20, 1, 0xd, 0xb8, ...Buffer.alloc(12, 1)], 9),
        14,
      );
      const connection = await until(() => front.record.connections[0], "opened");
      expect(connection.remoteAddress).toBe("2001:db8:101:101:101:101:101:101");
      client.destroy();
    });

    test.each([
      { what: "UNKNOWN", header: "PROXY UNKNOWN\r\n" },
      { what: "LOCAL", header: Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex") },
    ])("takes the balancer's own address where it says $what", async ({ header }) => {
      await using front = await startEngine({ proxyProtocolFrom });
      const client = await openBehind(front, header);
      const connection = await until(() => front.record.connections[0], "opened");
      expect(connection.remoteAddress).toBe("127.0.0.1");
      client.destroy();
    });

    test.each([
      { what: "none", header: "" },
      { what: "a family it does not name", header: "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n" },
      {
        what: "an address of the other family",
        header: "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
      },
      { what: "a port over 65535", header: "PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n" },
      { what: "a space too many", header: "PROXY TCP4  192.0.2.1 198.51.100.7 1 2\r\n" },
      { what: "a word too many", header: "PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n" },
      { what: "no end within 107 bytes", header: `PROXY UNKNOWN ${"x".repeat(100)}\r\n` },
      { what: "a header over 536 bytes", header: proxyV2([1, 2, 3, 4], 1, Buffer.alloc(510)) },
      { what: "a value cut short", header: proxyV2([1, 2, 3, 4], 1, Buffer.from([4, 0, 9, 1])) },
    ])("refuses $what", async ({ header }) => {
      await using front = await startEngine({ proxyProtocolFrom });
      await openBehind(front, header);
      const failure = await until(() => front.record.failures[0]);
      expect(failure).toEqual({ remoteAddress: "127.0.0.1", reason: "proxy-header" });
    });

    test("counts pending connections by the address in the header", async () => {
      await using front = await startEngine({ proxyProtocolFrom, pendingPerAddress: 1 });
      const from = (last: number) => openBehind(front, proxyV2([192, 0, 2, last], 1_000));
      const clients = [await from(1), await from(2)];
      await until(() => front.record.connections.length === 2, "opened");
      clients.push(await from(1));
      const failure = await until(() => front.record.failures[0]);
      expect(failure).toEqual({ remoteAddress: "192.0.2.1", reason: "too-many" });
      for (const client of clients) client.destroy();
    });

    test("counts a /64 of IPv6 as one address", async () => {
      await using front = await startEngine({ proxyProtocolFrom, pendingPerAddress: 1 });
      const from = (network: number, host: number) => {
        const prefix = [0x20, 1, 0xd, 0xb8, 0, 0, 0, network];
        return openBehind(front, proxyV2([...prefix, ...Buffer.alloc(8, host)], 1_000));
      };
      const clients = [await from(1, 1), await from(2, 1)];
      await until(() => front.record.connections.length === 2, "opened");
      clients.push(await from(2, 2));
      const failure = await until(() => front.record.failures[0]);
      expect(failure).toEqual({
        remoteAddress: "2001:db8:0:2:202:202:202:202",
        reason: "too-many",
      });
      for (const client of clients) client.destroy();
    });
  });

  describe("admission", () => {
    test.each([
      { of: "in all", limits: { pending: 3 } },
      { of: "from one address", limits: { pendingPerAddress: 3 } },
    ])("bounds pending connections $of, and gives places back", async ({ limits }) => {
      await using front = await startEngine(limits);
      const [first] = await Promise.all([front.open(), front.open(), front.open()]);
      const over = connect(front.port, "127.0.0.1");
      const [error] = await once(over, "error");
      expect(error.code).toBe("ECONNRESET");
      await until(() => front.record.failures.length === 1);
      expect(front.record.failures[0]?.reason).toBe("too-many");
      first.client.destroy();
      await until(() => front.engine.counters()["frontPending"] === 2);
      await front.open();
    });

    test("counts a stream of the relay no more", async () => {
      await using front = await startEngine({ pending: 1 });
      const { connection } = await front.open();
      front.engine.stream(connection.id, true);
      await until(() => front.engine.counters()["frontPending"] === 0);
      await front.open();
    });
  });

  describe("a stream", () => {
    test("is read only while it is wanted", async () => {
      await using front = await startEngine();
      const { client, connection } = await front.open();
      front.engine.stream(connection.id, false);
      // What is sent behind the stream's own turn can only come once it is wanted.
      const other = await front.open();
      client.write("later");
      other.client.write("now");
      await until(() => front.record.textFrom(other.connection.id) === "now");
      expect(front.record.textFrom(connection.id)).toBe("");
      front.engine.stream(connection.id, true);
      await until(() => front.record.textFrom(connection.id) === "later");
    });

    test("may send any amount without an answer, and tells when it is drained", async () => {
      await using front = await startEngine();
      const { client, connection } = await front.open();
      let received = 0;
      front.record.onBytes = (_id, bytes) => {
        received += bytes.length;
      };
      front.engine.stream(connection.id, true);
      const length = 4 << 20;
      client.write(Buffer.alloc(length));
      await until(() => received === length);
      expect(front.record.drains).toEqual([]);
      front.engine.write(connection.id, Buffer.from("answer"));
      await once(client, "data");
      await until(() => front.record.drains.length === 1);
      expect(front.record.drains).toEqual([{ connectionId: connection.id, sentBytes: 6 }]);
    });
  });
});
