import { once } from "node:events";
import { constants } from "node:http2";
import type { Socket } from "node:net";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { listOf, openPort } from "../testing/gateway-under-test.ts";
import {
  ask,
  connectTo,
  type Http2UnderTest,
  openHttp2,
  speakHttp2,
  startHttp2,
} from "../testing/http2-device.ts";
import {
  decodeFrames,
  encodeFrame,
  encodeHeaders,
  encodeNumber,
  encodeSetting,
  FRAME,
  INITIAL_WINDOW_SIZE,
  PREFACE,
} from "../testing/http2-frames.ts";

const SMALLEST_WINDOW = 65_535;
const WIDEST_WINDOW = 0x7fff_ffff;

/** What a client says first whose windows, the stream's and the connection's, are this wide. */
const opening = (port: number, window: number) =>
  Buffer.concat([
    PREFACE,
    encodeSetting(INITIAL_WINDOW_SIZE, window),
    ...(window > SMALLEST_WINDOW ? [encodeNumber(FRAME.window, 0, window - SMALLEST_WINDOW)] : []),
    encodeHeaders(1, { ":method": "CONNECT", ":authority": `127.0.0.1:${port}` }),
  ]);

const pump = (socket: Socket) => {
  const more = () => {
    while (socket.write(Buffer.alloc(65_536)));
  };
  socket.on("drain", more);
  more();
};
/** The error that a socket closed with, if any. */
const closing = async (socket: Socket) => {
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("close", resolve));
  return socket.errored;
};
const noneOpen = (all: Http2UnderTest) =>
  until(async () => (await all.metric("connections_open")) === 0, "the end of the connections");

test.each(["end", "destroy"] as const)(
  "a client that goes without a word (%s) leaves neither its connection nor its targets open",
  async (way) => {
    const targets: Socket[] = [];
    await using all = await startHttp2({ onTarget: (socket) => targets.push(socket.resume()) });
    const socket = await all.tls();
    const session = speakHttp2(socket);
    await ask(session, connectTo(all.target.port));
    await ask(session, connectTo(all.target.port));
    expect((await ask(session, connectTo(1))).status).toBe(403);
    expect(targets).toHaveLength(2);
    const closed = [socket, ...targets].map(closing);
    socket[way]();
    const [, ...errors] = await Promise.all(closed);
    expect(errors).toMatchObject([{ code: "ECONNRESET" }, { code: "ECONNRESET" }]);
    await noneOpen(all);
  },
);

test.each(["NGHTTP2_NO_ERROR", "NGHTTP2_CANCEL"] as const)(
  "a stream that the client resets (%s) is reset towards its target, so that cut data never looks complete",
  async (code) => {
    const target = Promise.withResolvers<Socket>();
    await using all = await startHttp2({ onTarget: (socket) => target.resolve(socket.resume()) });
    const socket = await all.tls();
    const payload = Buffer.from("half a");
    socket.write(opening(all.target.port, SMALLEST_WINDOW));
    socket.write(encodeFrame({ type: FRAME.data, streamId: 1, payload }));
    const atTarget = await target.promise;
    await until(() => atTarget.bytesRead === payload.length);
    const closed = closing(atTarget);
    // Node's own client would send the end of the stream before.
    socket.write(encodeNumber(FRAME.reset, 1, constants[code]));
    expect(await closed).toMatchObject({ code: "ECONNRESET" });
    socket.destroy();
  },
);

test("the gateway's stop takes HTTP/2 connections with it, whatever state their streams are in", async () => {
  const targets: Socket[] = [];
  const onTarget = (socket: Socket) => void targets.push(socket.resume());
  const all = await openHttp2({ onTarget });
  const halfClosed = await ask(all.session, connectTo(all.target.port));
  halfClosed.stream.end();
  await until(() => targets[0]?.readableEnded);
  await ask(all.session, connectTo(all.target.port));
  const refused = await ask(all.session, connectTo(1));
  expect(refused.status).toBe(403);
  refused.stream.resume();
  expect(targets).toHaveLength(2);
  const closed = once(all.session, "close");
  const atTarget = targets.slice(1).map(closing);
  await all.gateway[Symbol.asyncDispose]();
  expect(await Promise.all(atTarget)).toMatchObject([{ code: "ECONNRESET" }]);
  await closed;
  // A target that has read the end of one half does not look for a reset: the gateway's own number tells of it.
  await noneOpen(all);
  await all[Symbol.asyncDispose]();
});

test("a cut does not wait for a client that reads nothing", async () => {
  const target = Promise.withResolvers<Socket>();
  await using all = await startHttp2({
    onTarget: (socket) => {
      target.resolve(socket);
      pump(socket);
    },
  });
  const socket = await all.tls();
  socket.pause();
  socket.write(opening(all.target.port, WIDEST_WINDOW));
  const atTarget = await target.promise;
  let before = 0;
  await until(() => {
    const isStill = before > 0 && atTarget.bytesWritten === before;
    before = atTarget.bytesWritten;
    return isStill;
  }, "the client's buffers to be full");
  const closed = closing(atTarget);
  await all.gateway.configure({ policies: openPort(all.target.port), devices: listOf("d2") });
  expect(await closed).toMatchObject({ code: "ECONNRESET" });
  await noneOpen(all);
  expect(await all.metric('connections_closed_total{end="cut"}')).toBe(1);
  socket.destroy();
});

test("a connection with no device behind it ends with its first refusal", async () => {
  await using all = await startHttp2();
  const session = speakHttp2(await all.tls("stranger"));
  const closed = once(session, "close");
  const { status, stream } = await ask(session, connectTo(all.target.port));
  expect(status).toBe(403);
  stream.resume();
  await closed;
});

test("a connection that opens no stream is ended", async () => {
  const local = { admission: { handshakeSeconds: 1 } };
  await using all = await openHttp2({ gateway: { local } });
  await once(all.session, "close");
  expect(all.session.destroyed).toBe(true);
});

test("extended CONNECT, which is not offered, ends its stream by a protocol error", async () => {
  await using all = await startHttp2();
  const socket = await all.tls();
  const fields = { ":method": "CONNECT", ":protocol": "connect-udp", ":scheme": "https" };
  const path = { ":path": "/.well-known/masque/udp/127.0.0.1/53/", ":authority": "gateway" };
  socket.write(
    Buffer.concat([
      PREFACE,
      encodeSetting(INITIAL_WINDOW_SIZE, SMALLEST_WINDOW),
      encodeHeaders(1, { ...fields, ...path }),
    ]),
  );
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const frames = () => decodeFrames(Buffer.concat(chunks));
  const reset = await until(() => frames().find(({ type }) => type === FRAME.reset));
  expect([reset.streamId, reset.payload.readUInt32BE()]).toEqual([
    1,
    constants.NGHTTP2_PROTOCOL_ERROR,
  ]);
  expect(socket.readableEnded).toBe(false);
  socket.destroy();
});
