import { createHash } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { ask, connectTo, type Http2UnderTest, openHttp2 } from "../testing/http2-device.ts";

const MEBIBYTE = 1_048_576;
const SOURCE = Buffer.alloc(64 * MEBIBYTE, "what goes through the relay ");
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** Waits until a number that grows stands still. */
async function still(read: () => number): Promise<number> {
  let before = -1;
  await until(() => {
    const isStill = read() === before && before > 0;
    before = read();
    return isStill;
  }, "standing still");
  return before;
}

const ended = (all: Http2UnderTest) =>
  until(async () => (await all.metric("connections_open")) === 0, "the end of the connection");

test("a device that does not read a stream holds its target back, and not its other streams", async () => {
  let sent = 0;
  const pump = (socket: Socket) => {
    const chunk = Buffer.alloc(65_536);
    const more = () => {
      while (socket.write(chunk, () => (sent += chunk.length)));
    };
    socket.on("drain", more);
    more();
  };
  await using all = await openHttp2({ onTarget: pump });
  const { stream } = await ask(all.session, connectTo(all.target.port));
  stream.pause();
  await still(() => sent);
  const other = await ask(all.session, connectTo(all.target.port));
  other.stream.once("data", () => other.stream.close());
  await once(other.stream, "close");
  stream.close();
  await ended(all);
  expect(await all.metric('relayed_bytes_total{direction="down"}')).toBeLessThan(4 * MEBIBYTE);
});

test("a target that does not read holds the device's stream back, and then gets all of it", async () => {
  const atTarget = Promise.withResolvers<Socket>();
  await using all = await openHttp2({ onTarget: atTarget.resolve });
  const { stream } = await ask(all.session, connectTo(all.target.port));
  let taken = 0;
  for (let at = 0; at < SOURCE.length; at += 65_536) {
    stream.write(SOURCE.subarray(at, at + 65_536), () => (taken += 65_536));
  }
  stream.end();
  const kernelBuffers = 16 * MEBIBYTE;
  expect(await still(() => taken)).toBeLessThan(4 * MEBIBYTE + kernelBuffers);
  const socket = await atTarget.promise;
  expect(sha256(await buffer(socket))).toBe(sha256(SOURCE));
  socket.end("thank you");
  expect((await buffer(stream)).toString()).toBe("thank you");
});

test("64 MB go both ways at once, whole", async () => {
  await using all = await openHttp2();
  const { stream } = await ask(all.session, connectTo(all.target.port));
  stream.end(SOURCE);
  expect(sha256(await buffer(stream))).toBe(sha256(SOURCE));
});

test("the end of the target's half leaves the device's open", async () => {
  const atTarget = Promise.withResolvers<Socket>();
  await using all = await openHttp2({ onTarget: atTarget.resolve });
  const { stream } = await ask(all.session, connectTo(all.target.port));
  const socket = await atTarget.promise;
  socket.end("greeting");
  expect((await buffer(stream)).toString()).toBe("greeting");
  stream.end("reply");
  expect((await buffer(socket)).toString()).toBe("reply");
  await ended(all);
  expect(await all.metric('connections_closed_total{end="complete"}')).toBe(1);
});
