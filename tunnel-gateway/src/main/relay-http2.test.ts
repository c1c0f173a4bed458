import { once } from "node:events";
import { type ClientHttp2Session, constants, type OutgoingHttpHeaders } from "node:http2";
import { buffer } from "node:stream/consumers";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { listOf, openPort } from "../testing/gateway-under-test.ts";
import { ask, connectTo, openHttp2 } from "../testing/http2-device.ts";

async function refusalOf(session: ClientHttp2Session, headers: OutgoingHttpHeaders) {
  const { status, stream } = await ask(session, headers);
  return { status, ...JSON.parse((await buffer(stream)).toString()) };
}

test("many streams of one connection are relayed side by side, each to its own end", async () => {
  await using all = await openHttp2();
  const texts = Array.from({ length: 20 }, (_, index) => `stream ${index} `.repeat(10_000));
  const echoed = texts.map(async (text) => {
    const { status, stream } = await ask(all.session, connectTo(all.target.port));
    expect(status).toBe(200);
    stream.end(text);
    return (await buffer(stream)).toString();
  });
  expect(await Promise.all(echoed)).toEqual(texts);
  await until(async () => (await all.metric('connections_closed_total{end="complete"}')) === 20);
});

test("a refusal has the words that it has over HTTP/1.1, and leaves the connection open", async () => {
  await using all = await openHttp2();
  expect(await refusalOf(all.session, connectTo(1))).toMatchObject({
    status: 403,
    code: "policy-denied",
    rule: "default-deny",
  });
  const metadata = { ":method": "CONNECT", ":authority": "169.254.169.254:80" };
  expect(await refusalOf(all.session, metadata)).toMatchObject({ code: "egress-forbidden" });
  expect((await ask(all.session, connectTo(all.target.port))).status).toBe(200);
});

test.each([
  ["GET", { ":method": "GET", ":path": "/" }, 405, "connect-method"],
  [
    "CONNECT without a port",
    { ":method": "CONNECT", ":authority": "127.0.0.1" },
    400,
    "authority-malformed",
  ],
])("%s is refused by its form", async (_what, headers, status, code) => {
  await using all = await openHttp2();
  expect(await refusalOf(all.session, headers)).toMatchObject({ status, code });
});

test("a device that stops being known loses its streams by a reset", async () => {
  await using all = await openHttp2();
  const { stream } = await ask(all.session, connectTo(all.target.port));
  const closed = new Promise((resolve) => stream.once("close", resolve));
  await all.gateway.configure({ policies: openPort(all.target.port), devices: listOf("d2") });
  await closed;
  expect(stream.rstCode).toBe(constants.NGHTTP2_CONNECT_ERROR);
});

test("a stream that is reset while its target is dialled harms nobody", async () => {
  await using all = await openHttp2();
  for (let round = 0; round < 20; round++) {
    const stream = all.session.request(connectTo(all.target.port));
    stream.on("error", () => {});
    stream.close(constants.NGHTTP2_CANCEL);
    await once(stream, "close");
  }
  expect((await ask(all.session, connectTo(all.target.port))).status).toBe(200);
});

test("a client that goes on opening and resetting streams is turned away", async () => {
  await using all = await openHttp2();
  let count = 0;
  while (!all.session.destroyed && !all.session.closed && count < 5_000) {
    const stream = all.session.request(connectTo(all.target.port));
    stream.on("error", () => {});
    count += 1;
    await Promise.race([once(stream, "response"), once(stream, "close")]).catch(() => undefined);
    stream.close(constants.NGHTTP2_CANCEL);
  }
  expect(count).toBeLessThan(5_000);
});

test("the limit of connections holds for streams of one connection too", async () => {
  await using all = await openHttp2({ desired: { limits: { connectionsPerDevice: 2 } } });
  for (let count = 0; count < 2; count++) {
    expect((await ask(all.session, connectTo(all.target.port))).status).toBe(200);
  }
  expect(await refusalOf(all.session, connectTo(all.target.port))).toMatchObject({
    status: 429,
    code: "limit-connections",
  });
});
