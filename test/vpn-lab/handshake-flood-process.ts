import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { connect, isIPv6, type Socket } from "node:net";
import type { Flood } from "./handshake-flood.ts";
import { cookieOf, dtlsHello, tlsHello } from "./hellos.ts";

/**
 * Strangers by the hundred, who begin handshakes in turn in every way, from every address in turn, and go no further. What they
 * hold they hold until the gateway or this process ends it.
 *
 * `node handshake-flood-process.ts <Flood, JSON>` until standard input has a line; then it begins no more, and prints how many
 * it has begun and in how many seconds, JSON.
 */
const { addresses, gateways, port, perSecond, appIds }: Flood = JSON.parse(process.argv[2] ?? "");
const TICK_MS = 20;
const PROBE = Buffer.alloc(32, 1);
const WHOLE = tlsHello();
const HALF = WHOLE.subarray(0, 100);

const held = new Set<Socket | UdpSocket>();
const probes = addresses.map((address) => udpFrom(address));
let sent = 0;

const WAYS: readonly ((index: number) => void)[] = [
  (index) => openTcp(index, HALF),
  (index) => openTcp(index, WHOLE),
  (index) => openTcp(index, Buffer.alloc(0)),
  sendProbe,
  beginDtls,
];

function at<T>(list: readonly T[], index: number): T {
  const item = list[index % list.length];
  if (item === undefined) throw new Error("an empty list");
  return item;
}

function gatewayFor(address: string): string {
  return isIPv6(address) ? gateways.ipv6 : gateways.ipv4;
}

function openTcp(index: number, first: Buffer): void {
  const localAddress = at(addresses, index);
  const socket = connect({ host: gatewayFor(localAddress), port, localAddress }, () => {
    if (first.length > 0) socket.write(first);
  });
  held.add(socket);
  socket.resume();
  socket.on("error", () => {});
  socket.on("close", () => held.delete(socket));
}

function udpFrom(address: string): UdpSocket {
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  held.add(socket);
  socket.on("error", () => {});
  socket.bind({ address });
  return socket;
}

/** A hello that names a session which nobody has. */
function sendProbe(index: number): void {
  PROBE.writeUInt32BE(index, 0);
  at(probes, index).send(dtlsHello(PROBE), port, gatewayFor(at(addresses, index)));
}

/** Both hellos with the name of a session that somebody has, as whoever saw it pass can, and no word more. */
function beginDtls(index: number): void {
  const address = at(addresses, index);
  const appId = Buffer.from(at(appIds, index), "hex");
  const socket = udpFrom(address);
  socket.on("message", (datagram) => {
    const cookie = cookieOf(datagram);
    if (cookie) socket.send(dtlsHello(appId, cookie), port, gatewayFor(address));
  });
  socket.send(dtlsHello(appId), port, gatewayFor(address));
}

const from = performance.now();
const seconds = () => (performance.now() - from) / 1_000;
const timer = setInterval(() => {
  const due = seconds() * perSecond;
  for (; sent < due; sent += 1) at(WAYS, sent)(Math.floor(sent / WAYS.length));
}, TICK_MS);

process.stdin.once("data", () => {
  clearInterval(timer);
  process.stdout.write(`${JSON.stringify({ sent, seconds: seconds() })}\n`);
});
