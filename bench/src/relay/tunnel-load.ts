import { once } from "node:events";
import type { Duplex } from "node:stream";
import { answerWith } from "../process/answering.ts";
import { encodeStreamOrder, type StreamKind } from "./stream-order.ts";
import { openTunnel, type Way } from "./tunnel-client.ts";

/** The devices of the relay bench, in a process of their own. */

const CHUNK = Buffer.alloc(262_144, 0xa5);
/** Handshakes at a time while many tunnels are opened. */
const OPEN_CONCURRENCY = 16;

/** Tunnels that are open and not yet used, and those that idle. */
let ready: Duplex[] = [];
let idle: Duplex[] = [];

const handlers = {
  /** Opens this many tunnels and keeps them. Answers the seconds it took. */
  open: async ({ way, count }: { way: Way; count: number }): Promise<number> => {
    const started = performance.now();
    let left = count;
    const opener = async () => {
      while (left > 0) {
        left -= 1;
        ready.push(await openTunnel(way));
      }
    };
    await Promise.all(Array.from({ length: Math.min(OPEN_CONCURRENCY, count) }, opener));
    return (performance.now() - started) / 1000;
  },

  /** Moves `bytes` through each open tunnel at once, ends the tunnels, and answers the seconds it took. */
  transfer: async ({ kind, bytes }: { kind: StreamKind; bytes: number }): Promise<number> => {
    const started = performance.now();
    await Promise.all(ready.map((socket) => move(socket, kind, bytes)));
    const seconds = (performance.now() - started) / 1000;
    closeAll();
    return seconds;
  },

  /** Sends the idle order through each tunnel that is open and awaits the byte server's answer. */
  settle: async (_: null): Promise<void> => {
    for (const socket of ready) {
      socket.write(encodeStreamOrder({ kind: "idle", count: 0 }));
      socket.resume();
      await once(socket, "data");
    }
    idle.push(...ready);
    ready = [];
  },

  close: async (_: null): Promise<void> => closeAll(),
};
export type TunnelLoadProgram = typeof handlers;
answerWith(handlers);

async function move(socket: Duplex, kind: StreamKind, bytes: number): Promise<void> {
  socket.write(encodeStreamOrder({ kind, count: bytes }));
  if (kind === "download") await receive(socket, bytes);
  else await Promise.all([send(socket, bytes), receive(socket, 1)]);
}

/** Waits for exactly this many bytes. Throws where the connection ends before or more come. */
function receive(socket: Duplex, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = bytes;
    socket.on("data", (chunk: Buffer) => {
      left -= chunk.length;
      if (left === 0) resolve();
      if (left < 0) reject(new Error(`${-left} bytes too many`));
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`the tunnel ended ${left} bytes early`)));
    socket.resume();
  });
}

async function send(socket: Duplex, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
    if (!socket.write(chunk)) await once(socket, "drain");
  }
}

function closeAll(): void {
  for (const socket of [...ready, ...idle]) socket.destroy();
  ready = [];
  idle = [];
}
