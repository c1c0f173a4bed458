import { createHash, createHmac } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";

/** What a server answers: a code and attributes; undefined for nothing. */
export type RadiusReply =
  | { readonly code: number; readonly attributes?: readonly (readonly [number, string])[] }
  | undefined;

/** A RADIUS server that answers each request as a test says, signed (RFC 2865 section 3, RFC 3579 section 3.2). */
export async function radiusServer(
  secret: string,
  reply: (request: Buffer, count: number) => RadiusReply,
) {
  const socket = createSocket("udp4");
  let count = 0;
  socket.on("message", (request, from) => {
    count += 1;
    const told = reply(request, count);
    if (told) socket.send(encode(request, secret, told), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    server: { host: "127.0.0.1", port: socket.address().port },
    [Symbol.dispose]: () => void socket.close(),
  };
}

function encode(
  request: Buffer,
  secret: string,
  { code, attributes = [] }: NonNullable<RadiusReply>,
): Buffer {
  const all = [[80, "\0".repeat(16)] as const, ...attributes];
  const body = all.map(([type, text]) => {
    const value = Buffer.from(text);
    return Buffer.concat([Buffer.from([type, value.length + 2]), value]);
  });
  const head = Buffer.from([code, request.readUInt8(1), 0, 0]);
  const packet = Buffer.concat([head, request.subarray(4, 20), ...body]);
  packet.writeUInt16BE(packet.length, 2);
  createHmac("md5", secret).update(packet).digest().copy(packet, 22);
  createHash("md5").update(packet).update(secret).digest().copy(packet, 4);
  return packet;
}
