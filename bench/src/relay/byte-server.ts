import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { answerWith } from "../process/answering.ts";
import { decodeStreamOrder, STREAM_ORDER_BYTES } from "./stream-order.ts";

/** The internal host of the relay bench: a source and a sink of bytes, in a process of its own. */

const CHUNK = Buffer.alloc(262_144, 0x5a);
const DONE = Buffer.from("K");

const server = createServer((socket) => void serve(socket).catch(() => socket.destroy()));

async function serve(socket: Socket): Promise<void> {
  // The proxies under test end connections as they like; the client says whether its count was right.
  socket.on("error", () => {});
  const first = await firstBytes(socket);
  const { kind, count } = decodeStreamOrder(first);
  switch (kind) {
    case "download":
      return await send(socket, count);
    case "upload":
      return take(socket, count - (first.length - STREAM_ORDER_BYTES));
    case "idle":
      socket.resume().write(DONE);
  }
}

async function firstBytes(socket: Socket): Promise<Buffer> {
  let bytes: Buffer = Buffer.alloc(0);
  while (bytes.length < STREAM_ORDER_BYTES) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
  }
  return bytes;
}

async function send(socket: Socket, count: number): Promise<void> {
  for (let left = count; left > 0; left -= CHUNK.length) {
    const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
    if (!socket.write(chunk)) await once(socket, "drain");
  }
  socket.end();
}

function take(socket: Socket, count: number): void {
  let left = count;
  if (left <= 0) socket.write(DONE);
  socket.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left <= 0) socket.write(DONE);
  });
}

const handlers = {
  /** Listens on 127.0.0.1 and answers the port. */
  listen: async (_: null): Promise<number> => {
    server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
};
export type ByteServerProgram = typeof handlers;
answerWith(handlers);
