import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { afterAll, expect, test } from "vitest";
import type { AccessAnswer } from "../protocol/radius-packet.ts";
import { exchange } from "./radius-exchange.ts";

const never = new AbortController().signal;
const ACCEPT: AccessAnswer = {
  kind: "accept",
  userName: undefined,
  replyMessage: "",
  state: undefined,
  groups: [],
};
const resources = new AsyncDisposableStack();
afterAll(() => resources.disposeAsync());

/** A server on UDP that does what a test says with each datagram. */
async function server(onMessage: (message: Buffer, from: RemoteInfo, count: number) => void) {
  const socket = createSocket("udp4");
  let count = 0;
  socket.on("message", (message, from) => {
    count += 1;
    onMessage(message, from, count);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  resources.defer(() => void socket.close());
  const { port } = socket.address();
  const send = (text: string, to: RemoteInfo) => socket.send(text, to.port, to.address);
  return { server: { host: "127.0.0.1", port }, send };
}

const of = (more: Partial<Parameters<typeof exchange>[1]> = {}) => ({
  bytes: Buffer.from("request"),
  read: (answer: Buffer) => {
    if (answer.toString() !== "genuine") throw new Error("forged");
    return ACCEPT;
  },
  timeoutMs: 20,
  retries: 5,
  ...more,
});

test("a request without an answer comes again, the same and from the same port", async () => {
  const seen: string[] = [];
  const far = await server((message, from, count) => {
    seen.push(`${message} ${from.port}`);
    if (count === 3) far.send("genuine", from);
  });
  expect(await exchange(far.server, of(), never)).toBe(ACCEPT);
  expect(seen.length).toBeGreaterThanOrEqual(3);
  expect(new Set(seen).size).toBe(1);
  expect(seen[0]).toMatch(/^request /);
});

test("forged answers are passed over, and answers of others are not heard", async () => {
  const stranger = createSocket("udp4");
  resources.defer(() => void stranger.close());
  let heard = "";
  const far = await server((_message, from) => {
    stranger.send("stranger", from.port, from.address, () => {
      far.send("forged", from);
      far.send("genuine", from);
    });
  });
  const read = (answer: Buffer) => {
    heard += answer.toString();
    return of().read(answer);
  };
  expect(await exchange(far.server, of({ read, timeoutMs: 10_000 }), never)).toBe(ACCEPT);
  expect(heard).toBe("forgedgenuine");
});

test("a flood of forged answers ends it, and says what was wrong with them", async () => {
  const far = await server((_message, from) => {
    for (let count = 0; count < 100; count += 1) far.send("forged", from);
  });
  await expect(exchange(far.server, of({ timeoutMs: 10_000 }), never)).rejects.toThrow("forged");
});

test("a server that says nothing is asked as often as configured", async () => {
  let count = 0;
  const far = await server(() => {
    count += 1;
  });
  const asked = exchange(far.server, of({ retries: 2 }), never);
  expect(await rejectedCode(() => asked)).toBe("radius-unreachable");
  expect(count).toBe(3);
});

test("a name that cannot be resolved and a closed port are told, and end nothing else", async () => {
  const nowhere = { host: "::no address", port: 1_812 };
  expect(await rejectedCode(() => exchange(nowhere, of(), never))).toBe("radius-unreachable");
  const closed = createSocket("udp4");
  closed.bind(0, "127.0.0.1");
  await once(closed, "listening");
  const { port } = closed.address();
  await new Promise<void>((resolve) => closed.close(() => resolve()));
  const there = { host: "127.0.0.1", port };
  expect(await rejectedCode(() => exchange(there, of(), never))).toBe("radius-unreachable");
});

test("who goes away ends it", async () => {
  const gone = new AbortController();
  const far = await server(() => gone.abort(new Error("gone")));
  await expect(exchange(far.server, of({ timeoutMs: 10_000 }), gone.signal)).rejects.toThrow(
    "gone",
  );
  await expect(exchange(far.server, of(), AbortSignal.abort(new Error("gone")))).rejects.toThrow(
    "gone",
  );
});
