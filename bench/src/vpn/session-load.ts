import { setTimeout as delay } from "node:timers/promises";
import { answerWith } from "../process/answering.ts";
import { type SessionPapers, TunnelSession } from "./tunnel-session.ts";

/** Many VPN sessions of one light process, in the client's namespace. */

const UDP_PORT = 7_777;
const IPV4_HEAD_BYTES = 20;
const UDP_HEAD_BYTES = 8;

const sessions: TunnelSession[] = [];

const handlers = {
  /** Opens sessions until there are `count`, one after the other: a device's new login ends one that waits for its tunnel. */
  async open(of: { readonly papers: SessionPapers; readonly count: number }): Promise<number> {
    while (sessions.length < of.count) sessions.push(await TunnelSession.open(of.papers));
    return sessions.length;
  },
  /** Every session sends as fast as its connection takes it, to the sink on the internal host. */
  async blast(of: { readonly target: string; readonly seconds: number }): Promise<void> {
    const until = performance.now() + of.seconds * 1_000;
    const target = Buffer.from(of.target.split(".").map(Number));
    await Promise.all(sessions.map((session, index) => sendAll(session, index, target, until)));
  },
  /** Waits while others send, and answers what each session has received meanwhile, octets. */
  async receive(of: { readonly seconds: number }): Promise<number[]> {
    const before = sessions.map(({ bytesDown }) => bytesDown);
    await delay(of.seconds * 1_000);
    return sessions.map(({ bytesDown }, index) => bytesDown - (before[index] ?? 0));
  },
  close(_: null): void {
    for (const session of sessions.splice(0)) session.close();
  },
};

async function sendAll(
  session: TunnelSession,
  index: number,
  target: Buffer,
  until: number,
): Promise<void> {
  const packet = udpPacket(session, index, target);
  while (performance.now() < until) await session.send(packet);
}

/** IPv4 and UDP by hand; the payload begins with the session's number, by which the sink counts. */
function udpPacket(session: TunnelSession, index: number, target: Buffer): Buffer {
  const packet = Buffer.alloc(Math.min(session.mtu, 1_300));
  packet[0] = 0x45;
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(0x4000, 6);
  packet[8] = 64;
  packet[9] = 17;
  session.address.copy(packet, 12);
  target.copy(packet, 16);
  let sum = 0;
  for (let at = 0; at < IPV4_HEAD_BYTES; at += 2) sum += packet.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.writeUInt16BE(~sum & 0xffff, 10);
  packet.writeUInt16BE(10_000 + index, IPV4_HEAD_BYTES);
  packet.writeUInt16BE(UDP_PORT, IPV4_HEAD_BYTES + 2);
  packet.writeUInt16BE(packet.length - IPV4_HEAD_BYTES, IPV4_HEAD_BYTES + 4);
  packet.writeUInt32BE(index, IPV4_HEAD_BYTES + UDP_HEAD_BYTES);
  return packet;
}

export type SessionLoadProgram = typeof handlers;
answerWith(handlers);
