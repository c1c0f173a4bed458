import { createSocket, type Socket } from "node:dgram";
import { connect, createServer } from "node:net";

/**
 * Somebody on the path who keeps what he sees: passes TCP and UDP of the client on to the gateway, and every datagram of the
 * client's again at once, and again after `LATER` others; data also with one bit changed, and under a number that is to come.
 * `node repeating-proxy-process.ts <own address> <gateway> <port>`.
 */
const LATER = 20;
/** RFC 6347 section 4.1: of data, and where the lowest bytes of the record's number stand. */
const APPLICATION_DATA = 23;
const SEQUENCE_AT = 7;
const AHEAD = 1_000;
const [, , own = "", gateway = "", portText = ""] = process.argv;
const port = Number(portText);

const tcp = createServer({ allowHalfOpen: true }, (inner) => {
  const outer = connect({ host: gateway, port, allowHalfOpen: true });
  inner.pipe(outer).pipe(inner);
  inner.on("error", () => outer.destroy());
  outer.on("error", () => inner.destroy());
});

const front = createSocket("udp4");
const behind = new Map<number, Socket>();
const kept: Buffer[] = [];

front.on("message", (datagram, from) => {
  const socket = behind.get(from.port) ?? openTo(from.port, from.address);
  const earlier = kept.length === LATER ? kept.shift() : undefined;
  kept.push(datagram);
  const forged = datagram[0] === APPLICATION_DATA ? [changed(datagram), renumbered(datagram)] : [];
  for (const one of [...forged, datagram, datagram, ...(earlier ? [earlier] : [])])
    socket.send(one, port, gateway);
});

function changed(datagram: Buffer): Buffer {
  const copy = Buffer.from(datagram);
  const last = copy.length - 1;
  copy[last] = (copy[last] ?? 0) ^ 1;
  return copy;
}

function renumbered(datagram: Buffer): Buffer {
  const copy = Buffer.from(datagram);
  copy.writeUInt32BE((copy.readUInt32BE(SEQUENCE_AT) + AHEAD) >>> 0, SEQUENCE_AT);
  return copy;
}

function openTo(clientPort: number, clientAddress: string): Socket {
  const socket = createSocket("udp4");
  socket.on("message", (datagram) => front.send(datagram, clientPort, clientAddress));
  socket.on("error", () => {});
  behind.set(clientPort, socket);
  return socket;
}

tcp.listen(port, own, () => {
  front.bind(port, own, () => process.stdout.write("ready\n"));
});
