import { once } from "node:events";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { parseAddress } from "../core/ip-address.ts";
import type { RelayEnd } from "../core/ports.ts";
import { startTarget } from "../testing/gateway-under-test.ts";
import { ReadBuffers } from "./read-buffers.ts";
import { MAX_GATHERED_BYTES, MIN_GATHERED_CHUNK_BYTES, Relay } from "./relay.ts";
import { connectTarget } from "./target-connection.ts";

const LOOPBACK = parseAddress("127.0.0.1");
/** What TLS gives out at a time. */
const RECORD_BYTES = 16_384;

/** A device whose bytes come when a test says so, and a real connection to a real target. */
async function relayed() {
  const atTarget = Promise.withResolvers<Socket>();
  const target = await startTarget(atTarget.resolve);
  const device = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const { target: dialled } = await connectTarget({
    addresses: LOOPBACK ? [LOOPBACK] : [],
    port: target.port,
    timeoutMs: 5_000,
    buffers: new ReadBuffers(),
    signal: new AbortController().signal,
  });
  const ended = Promise.withResolvers<RelayEnd>();
  const relay = new Relay({
    device,
    resetDevice: () => device.destroy(),
    wasDeviceCut: () => false,
    target: dialled,
    head: Buffer.alloc(0),
    now: 0,
    onEnd: ended.resolve,
  });
  const targetSocket = await atTarget.promise;
  // The device's bytes come at once from here on.
  await turn();
  return {
    relay,
    device,
    targetSocket,
    ended: ended.promise,
    /** Bytes that have not left for the target. */
    waiting: () => dialled.socket.writableLength,
    async [Symbol.asyncDispose]() {
      relay.cut();
      await ended.promise;
      await target[Symbol.asyncDispose]();
    },
  };
}

async function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("a small piece leaves at once", async () => {
  await using pair = await relayed();
  pair.device.push(Buffer.alloc(MIN_GATHERED_CHUNK_BYTES - 1));
  expect(pair.waiting()).toBe(0);
});

test("a larger piece waits for others of the same turn of the loop, and no longer", async () => {
  await using pair = await relayed();
  pair.device.push(Buffer.alloc(MIN_GATHERED_CHUNK_BYTES));
  expect(pair.waiting()).toBe(MIN_GATHERED_CHUNK_BYTES);
  pair.device.push(Buffer.alloc(1));
  expect(pair.waiting()).toBe(MIN_GATHERED_CHUNK_BYTES + 1);
  await turn();
  expect(pair.waiting()).toBe(0);
});

test("what has been gathered up to the bound leaves at once, and the next is gathered anew", async () => {
  await using pair = await relayed();
  const records = MAX_GATHERED_BYTES / RECORD_BYTES;
  for (let sent = 1; sent < records; sent += 1) {
    pair.device.push(Buffer.alloc(RECORD_BYTES));
    expect(pair.waiting()).toBe(sent * RECORD_BYTES);
  }
  pair.device.push(Buffer.alloc(RECORD_BYTES));
  expect(pair.waiting()).toBe(0);
  pair.device.push(Buffer.alloc(RECORD_BYTES));
  expect(pair.waiting()).toBe(RECORD_BYTES);
  await turn();
  expect(pair.waiting()).toBe(0);
});

test("pieces of all sizes arrive whole and in order, and the end behind them", async () => {
  await using pair = await relayed();
  const sizes = [1, RECORD_BYTES, 9, RECORD_BYTES, RECORD_BYTES, 100_000, 4_095, 4_096, 1, 20_000];
  const all = Buffer.from(
    Array.from({ length: sizes.reduce((sum, size) => sum + size, 0) }, (_, at) => at % 251),
  );
  const whole = received(pair.targetSocket);
  let from = 0;
  for (const size of sizes) {
    pair.device.push(all.subarray(from, from + size));
    from += size;
  }
  pair.device.push(null);
  expect((await whole).equals(all)).toBe(true);
  pair.targetSocket.end();
  pair.device.resume();
  expect(await pair.ended).toBe("complete");
  expect(pair.relay.bytesUp).toBe(all.length);
});

test("a target that does not read holds the device back while pieces are gathered, and gets all of them", async () => {
  await using pair = await relayed();
  const [piece, count] = [Buffer.alloc(RECORD_BYTES, 1), 4_096];
  let sent = 0;
  const push = () => {
    while (sent < count && !pair.device.isPaused()) {
      pair.device.push(piece);
      sent += 1;
    }
  };
  pair.targetSocket.pause();
  while (!pair.device.isPaused() || pair.waiting() === 0) {
    for (let left = 5; left > 0 && !pair.device.isPaused(); left -= 1) {
      pair.device.push(piece);
      sent += 1;
    }
    await turn();
  }
  expect(sent).toBeLessThan(count);
  pair.device.on("resume", push);
  pair.targetSocket.resume();
  let left = count * RECORD_BYTES;
  pair.targetSocket.on("data", (bytes: Buffer) => {
    left -= bytes.length;
    if (left === 0) pair.targetSocket.emit("all");
  });
  await once(pair.targetSocket, "all");
  expect(pair.relay.bytesUp).toBe(count * RECORD_BYTES);
});

test("a cut drops what was gathered", async () => {
  await using pair = await relayed();
  const reset = once(pair.targetSocket.resume(), "error");
  pair.device.push(Buffer.alloc(RECORD_BYTES));
  pair.relay.cut();
  expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
  expect(pair.targetSocket.bytesRead).toBe(0);
  expect(await pair.ended).toBe("cut");
});
