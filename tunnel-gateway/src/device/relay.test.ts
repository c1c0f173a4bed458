import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { parseAddress } from "../core/ip-address.ts";
import type { RelayEnd } from "../core/ports.ts";
import { startTarget } from "../testing/gateway-under-test.ts";
import { ReadBuffers } from "./read-buffers.ts";
import { MAX_IN_FLIGHT_BYTES, Relay } from "./relay.ts";
import { connectTarget } from "./target-connection.ts";

const LOOPBACK = parseAddress("127.0.0.1");
const MEBIBYTE = 1_048_576;

/** A device and a target with a relay between them, all over real sockets. */
async function relayed(head = Buffer.alloc(0)) {
  const atTarget = Promise.withResolvers<Socket>();
  const target = await startTarget(atTarget.resolve);
  const atGateway = Promise.withResolvers<Socket>();
  const front = createServer({ allowHalfOpen: true }, atGateway.resolve);
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  const { port } = front.address() as { port: number };
  const device = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  device.on("error", () => {});
  const dialled = await connectTarget({
    addresses: LOOPBACK ? [LOOPBACK] : [],
    port: target.port,
    timeoutMs: 5_000,
    buffers: new ReadBuffers(),
    signal: new AbortController().signal,
  });
  const ended = Promise.withResolvers<RelayEnd>();
  const deviceSide = await atGateway.promise;
  const relay = new Relay({
    device: deviceSide,
    resetDevice: () => deviceSide.resetAndDestroy(),
    wasDeviceCut: () => false,
    target: dialled.target,
    head,
    now: 0,
    onEnd: ended.resolve,
  });
  return {
    relay,
    device,
    targetSocket: await atTarget.promise,
    ended: ended.promise,
    async [Symbol.asyncDispose]() {
      device.destroy();
      relay.cut();
      await ended.promise;
      front.close();
      await target[Symbol.asyncDispose]();
    },
  };
}

async function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("bytes arrive whole and in order, both ways at once", async () => {
  await using pair = await relayed();
  const up = Buffer.from(Array.from({ length: 3 * MEBIBYTE }, (_, index) => index % 251));
  const down = Buffer.from(Array.from({ length: 3 * MEBIBYTE }, (_, index) => index % 241));
  pair.device.end(up);
  pair.targetSocket.end(down);
  const [atTarget, atDevice] = await Promise.all([
    received(pair.targetSocket),
    received(pair.device),
  ]);
  expect(atTarget.equals(up)).toBe(true);
  expect(atDevice.equals(down)).toBe(true);
  expect(await pair.ended).toBe("complete");
  expect([pair.relay.bytesUp, pair.relay.bytesDown]).toEqual([up.length, down.length]);
});

test("what came with the request reaches the target first", async () => {
  await using pair = await relayed(Buffer.from("early "));
  pair.device.end("late");
  expect((await received(pair.targetSocket)).toString()).toBe("early late");
});

test("the end of the device's half leaves the target's open", async () => {
  await using pair = await relayed();
  pair.device.end("question");
  expect((await received(pair.targetSocket)).toString()).toBe("question");
  pair.targetSocket.write("answer, ");
  pair.targetSocket.end("in two parts");
  expect((await received(pair.device)).toString()).toBe("answer, in two parts");
  expect(await pair.ended).toBe("complete");
});

test("the end of the target's half leaves the device's open", async () => {
  await using pair = await relayed();
  pair.targetSocket.end("greeting");
  expect((await received(pair.device)).toString()).toBe("greeting");
  pair.device.end("reply");
  expect((await received(pair.targetSocket)).toString()).toBe("reply");
  expect(await pair.ended).toBe("complete");
});

test("a reset by the device resets the target, so that cut data never looks complete", async () => {
  await using pair = await relayed();
  const reset = once(pair.targetSocket, "error");
  pair.device.write("half a");
  pair.targetSocket.resume();
  await until(() => pair.relay.bytesUp === 6);
  pair.device.resetAndDestroy();
  expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
  expect(await pair.ended).toBe("device-error");
});

test("a reset by the target resets the device", async () => {
  await using pair = await relayed();
  const reset = once(pair.device, "error");
  pair.device.resume();
  pair.targetSocket.resetAndDestroy();
  expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
  expect(await pair.ended).toBe("target-error");
});

test("a device that does not read holds the target back, within the bound", async () => {
  await using pair = await relayed();
  const source = Buffer.alloc(64 * MEBIBYTE);
  pair.targetSocket.write(source);
  let before = -1;
  await until(async () => {
    const isStill = before === pair.relay.bytesDown && before > 0;
    before = pair.relay.bytesDown;
    return isStill;
  }, "reading to pause");
  const kernelBuffers = 16 * MEBIBYTE;
  expect(pair.relay.bytesDown).toBeLessThan(MAX_IN_FLIGHT_BYTES + kernelBuffers);
  pair.device.resume();
  await until(() => pair.relay.bytesDown === source.length, "the rest");
});

test("a target that does not read holds the device back, and goes on when it does", async () => {
  await using pair = await relayed();
  const source = Buffer.alloc(64 * MEBIBYTE);
  pair.device.write(source);
  let before = -1;
  await until(() => {
    const isStill = before === pair.relay.bytesUp && before > 0;
    before = pair.relay.bytesUp;
    return isStill;
  }, "reading to pause");
  expect(pair.relay.bytesUp).toBeLessThan(source.length);
  pair.targetSocket.resume();
  await until(() => pair.relay.bytesUp === source.length, "the rest");
});

test("an idle connection ends, sooner once half of it is closed", async () => {
  await using open = await relayed();
  open.relay.sweep(1_000, 1_000, 10);
  open.device.write("x");
  await until(() => open.relay.bytesUp === 1);
  open.relay.sweep(2_000, 1_000, 10);
  open.relay.sweep(3_000, 1_000, 10);
  open.device.end();
  await once(open.targetSocket.resume(), "end");
  open.relay.sweep(3_001, 1_000, 10);
  expect(await open.ended).toBe("idle");
});

test("a cut ends both sides at once", async () => {
  await using pair = await relayed();
  const resets = [once(pair.targetSocket, "error"), once(pair.device, "error")];
  pair.device.resume();
  pair.targetSocket.resume();
  pair.relay.cut();
  expect((await Promise.all(resets)).flat()).toMatchObject([
    { code: "ECONNRESET" },
    { code: "ECONNRESET" },
  ]);
  expect(await pair.ended).toBe("cut");
});
