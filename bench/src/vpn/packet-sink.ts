import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { answerWith } from "../process/answering.ts";

/** The internal host of the many sessions: counts what comes from each, and sends back as fast as it can. */

const PORT = 7_777;
const RECEIVE_BUFFER_BYTES = 4 * 1_048_576;
const PAYLOAD = Buffer.alloc(1_200, 0x5a);
/** Datagrams to each peer before the event loop has its turn. */
const BURST = 4;

const socket = createSocket({ type: "udp4", recvBufferSize: RECEIVE_BUFFER_BYTES });
const received = new Map<number, number>();
const peers = new Map<number, RemoteInfo>();

socket.on("message", (message, from) => {
  const session = message.readUInt32BE(0);
  received.set(session, (received.get(session) ?? 0) + message.length);
  peers.set(session, from);
});

const handlers = {
  async listen(_: null): Promise<void> {
    socket.bind(PORT, "0.0.0.0");
    await once(socket, "listening");
  },
  /** What came from each session since the last question, octets. */
  counts(_: null): number[] {
    const counts = [...received.values()];
    received.clear();
    return counts;
  },
  /** Sends to every session that was heard of, the same to each. */
  async blast(of: { readonly seconds: number }): Promise<void> {
    const until = performance.now() + of.seconds * 1_000;
    while (performance.now() < until) {
      for (const { address, port } of peers.values()) {
        for (let sent = 0; sent < BURST; sent++) socket.send(PAYLOAD, port, address);
      }
      await delay(1);
    }
  },
};
export type PacketSinkProgram = typeof handlers;
answerWith(handlers);
