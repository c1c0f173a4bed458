/** IP packets by hand, for clients that do not mean well. */

const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;
const IPV4_HEAD_BYTES = 20;
const IPV6_HEAD_BYTES = 40;

export interface Endpoints {
  readonly source: string;
  readonly destination: string;
}

/** A UDP datagram; the family is the addresses'. */
export function udpPacket(ends: Endpoints, port: number, sourcePort = 40_000): Buffer {
  const payload = Buffer.from("hello");
  const segment = Buffer.alloc(8 + payload.length);
  segment.writeUInt16BE(sourcePort, 0);
  segment.writeUInt16BE(port, 2);
  segment.writeUInt16BE(segment.length, 4);
  payload.copy(segment, 8);
  return ipPacket(ends, PROTOCOL.udp, segment, 6);
}

/** The first segment of a TCP connection. */
export function synPacket(ends: Endpoints, port: number, sourcePort = 40_000): Buffer {
  return tcpPacket(ends, port, sourcePort, 0x02);
}

/** The end of a TCP connection that there may never have been. */
export function resetPacket(ends: Endpoints, port: number, sourcePort = 40_000): Buffer {
  return tcpPacket(ends, port, sourcePort, 0x04);
}

function tcpPacket(ends: Endpoints, port: number, sourcePort: number, flags: number): Buffer {
  const segment = Buffer.alloc(20);
  segment.writeUInt16BE(sourcePort, 0);
  segment.writeUInt16BE(port, 2);
  segment.writeUInt32BE(1, 4);
  segment.writeUInt16BE(0x5000 | flags, 12);
  segment.writeUInt16BE(65_535, 14);
  return ipPacket(ends, PROTOCOL.tcp, segment, 16);
}

/** An echo request. */
export function pingPacket(ends: Endpoints, id = 7): Buffer {
  return echoPacket(ends, ends.source.includes(":") ? 128 : 8, id);
}

/** An echo reply. */
export function pongPacket(ends: Endpoints, id = 7): Buffer {
  return echoPacket(ends, ends.source.includes(":") ? 129 : 0, id);
}

function echoPacket(ends: Endpoints, type: number, id: number): Buffer {
  const isV6 = ends.source.includes(":");
  const message = Buffer.alloc(16);
  message[0] = type;
  message.writeUInt16BE(id, 4);
  message.writeUInt16BE(1, 6);
  return ipPacket(ends, isV6 ? PROTOCOL.icmp6 : PROTOCOL.icmp, message, 2);
}

function ipPacket(ends: Endpoints, protocol: number, segment: Buffer, sumAt: number): Buffer {
  const isV6 = ends.source.includes(":");
  const source = addressBytes(ends.source);
  const destination = addressBytes(ends.destination);
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt16BE(segment.length, 0);
  pseudo[3] = protocol;
  const summed = protocol === PROTOCOL.icmp ? [segment] : [source, destination, pseudo, segment];
  segment.writeUInt16BE(checksum(Buffer.concat(summed)), sumAt);
  const head = isV6 ? ipv6Head(segment.length, protocol) : ipv4Head(segment.length, protocol);
  source.copy(head, isV6 ? 8 : 12);
  destination.copy(head, isV6 ? 24 : 16);
  if (!isV6) head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, segment]);
}

function ipv4Head(length: number, protocol: number): Buffer {
  const head = Buffer.alloc(IPV4_HEAD_BYTES);
  head[0] = 0x45;
  head.writeUInt16BE(IPV4_HEAD_BYTES + length, 2);
  head.writeUInt16BE(0x4000, 6);
  head[8] = 64;
  head[9] = protocol;
  return head;
}

function ipv6Head(length: number, protocol: number): Buffer {
  const head = Buffer.alloc(IPV6_HEAD_BYTES);
  head[0] = 0x60;
  head.writeUInt16BE(length, 4);
  head[6] = protocol;
  head[7] = 64;
  return head;
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function addressBytes(address: string): Buffer {
  if (!address.includes(":")) return Buffer.from(address.split(".").map(Number));
  const [left = "", right] = address.split("::");
  const words = (text: string) => (text === "" ? [] : text.split(":"));
  const tail = right === undefined ? [] : words(right);
  const middle = Array.from({ length: 8 - words(left).length - tail.length }, () => "0");
  const bytes = Buffer.alloc(16);
  for (const [index, word] of [...words(left), ...middle, ...tail].entries())
    bytes.writeUInt16BE(Number.parseInt(word, 16), 2 * index);
  return bytes;
}
