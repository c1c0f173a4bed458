import { createCipheriv, createHmac } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { serverIdentity, startEngine, whyNoEngine } from "../testing/engine-under-test.ts";

/** A client whose sealed bytes go through our hands. */
async function openInHand(port: number) {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  const held: Buffer[] = [];
  const hand = { isHolding: false, held, socket };
  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      if (hand.isHolding) held.push(chunk);
      else socket.write(chunk);
      done();
    },
  });
  socket.on("data", (bytes) => duplex.push(bytes));
  const client: TLSSocket = connectTls({
    socket: duplex as Socket,
    ca: serverIdentity.certificate,
    servername: "localhost",
    ciphers: "TLS_AES_128_GCM_SHA256",
  });
  client.on("error", () => {});
  let secret: Buffer | undefined;
  client.on("keylog", (line) => {
    const [label, , hex] = String(line).trim().split(" ");
    if (label === "CLIENT_TRAFFIC_SECRET_0") secret = Buffer.from(hex ?? "", "hex");
  });
  await once(client, "secureConnect");
  return { ...hand, hand, client, secret: secret ?? Buffer.alloc(0) };
}

/** HKDF-Expand-Label (RFC 8446 section 7.1) of at most 32 bytes and without a context. */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac("sha256", secret).update(info).digest().subarray(0, length);
}

/** Records that ask for new keys, each under the keys that the one before has brought. */
function keyUpdates(of: { secret: Buffer }, count: number): Buffer {
  const records: Buffer[] = [];
  for (let made = 0; made < count; made += 1) {
    const header = Buffer.from([23, 3, 3, 0, 22]);
    const key = expand(of.secret, "key", 16);
    const cipher = createCipheriv("aes-128-gcm", key, expand(of.secret, "iv", 12));
    cipher.setAAD(header);
    const sealed = cipher.update(Buffer.from([24, 0, 0, 1, 1, 22]));
    records.push(header, sealed, cipher.final(), cipher.getAuthTag());
    of.secret = expand(of.secret, "traffic upd", 32);
  }
  return Buffer.concat(records);
}

/** A TLS client that a load balancer speaks for. */
async function openFrom(port: number, address: string): Promise<TLSSocket> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`PROXY TCP4 ${address} 198.51.100.7 1000 443\r\n`);
  const client = connectTls({ socket, ca: serverIdentity.certificate, servername: "localhost" });
  client.on("error", () => {});
  await once(client, "secureConnect");
  return client;
}

describe.skipIf(whyNoEngine !== undefined)("a stranger at the native engine", () => {
  test("cannot fill memory with answers that it does not read", { timeout: 180_000 }, async () => {
    await using front = await startEngine();
    const { socket, secret } = await openInHand(front.port);
    const { id } = await until(() => front.record.connections[0], "opened");
    socket.pause();
    const of = { secret };
    const sendSome = () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.write(keyUpdates(of, 2_000), () => resolve());
      return promise;
    };
    // Far more than the kernel's buffers of both ends hold.
    for (let sent = 0; sent < 400_000 && !socket.closed; sent += 2_000) await sendSome();
    const closing = await until(() => front.record.closings.get(id), "closed");
    expect(closing.reason).toBe("does not take what it is sent");
    socket.destroy();
  });

  test("makes one event, not a thousand, of a thousand records that come at once", async () => {
    await using front = await startEngine();
    const { hand, socket, client, held } = await openInHand(front.port);
    const { id } = await until(() => front.record.connections[0], "opened");
    hand.isHolding = true;
    for (let sent = 1; sent < 1_000; sent += 1) client.write("x");
    const { promise: sealed, resolve } = Promise.withResolvers<void>();
    client.write("x", () => resolve());
    await sealed;
    socket.write(Buffer.concat(held));
    await until(() => front.record.textFrom(id).length === 1_000, "received");
    expect(front.record.received.get(id)?.length).toBeLessThan(10);
    socket.destroy();
  });

  test("with all places taken by one address, another address is let in", async () => {
    await using front = await startEngine({ pending: 4, proxyProtocolFrom: ["127.0.0.1"] });
    const opened = (count: number) => () => front.record.connections[count - 1];
    const clients: TLSSocket[] = [];
    for (let count = 1; count <= 4; count += 1) {
      clients.push(await openFrom(front.port, "192.0.2.1"));
      await until(opened(count), "opened");
    }
    const [oldest] = front.record.connections;
    clients.push(await openFrom(front.port, "192.0.2.2"));
    const modest = await until(opened(5), "opened");
    expect(modest.remoteAddress).toBe("192.0.2.2");
    const closing = await until(() => front.record.closings.get(oldest?.id ?? 0), "displaced");
    expect(closing.reason).toBe("made way for others");
    expect(front.record.closings.size).toBe(1);
    for (const client of clients) client.destroy();
  });

  test("with all places taken by many addresses that sit still, another is let in after a while", async () => {
    const limits = { pending: 2, handshakeSeconds: 1 };
    await using front = await startEngine({ ...limits, proxyProtocolFrom: ["127.0.0.1"] });
    const clients = [
      await openFrom(front.port, "192.0.2.1"),
      await openFrom(front.port, "192.0.2.2"),
    ];
    const oldest = await until(() => front.record.connections[0], "opened");
    let knocks = 0;
    await until(async () => {
      const knock = connect(front.port, "127.0.0.1");
      knock.on("error", () => {});
      const { promise: isOver, resolve } = Promise.withResolvers<void>();
      knock.once("connect", () => knock.destroy()).once("close", () => resolve());
      await isOver;
      knocks += 1;
      return front.record.closings.get(oldest.id);
    }, "displaced");
    expect(knocks).toBeGreaterThan(1);
    expect(front.record.closings.get(oldest.id)?.reason).toBe("made way for others");
    for (const client of clients) client.destroy();
  });
});
