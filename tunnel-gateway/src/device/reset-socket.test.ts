import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { startTarget } from "../testing/gateway-under-test.ts";
import { resetSocket } from "./reset-socket.ts";

async function pair() {
  const accepted = Promise.withResolvers<Socket>();
  const target = await startTarget((socket) => accepted.resolve(socket.resume()));
  const near = connect({ port: target.port, host: "127.0.0.1", allowHalfOpen: true });
  await once(near, "connect");
  return { near, far: await accepted.promise, target };
}

test("an open socket is reset", async () => {
  const { near, far, target } = await pair();
  await using _ = target;
  const failed = once(far, "error");
  resetSocket(near);
  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
});

test("a socket whose end is on its way is closed all the same, at both ends", async () => {
  const { near, far, target } = await pair();
  await using _ = target;
  const closed = [once(near, "close"), once(far, "end")];
  near.end();
  // Node hands the end to the system in the next tick; what tells it that this is done comes with the loop's next round.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  expect(near.writableFinished).toBe(false);
  resetSocket(near);
  await Promise.all(closed);
});
