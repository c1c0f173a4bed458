import { createSocket } from "node:dgram";
import { once } from "node:events";

/** Answers of a name: addresses, `silent` for none at all, `broken` for a server failure. */
export type NameAnswers = Readonly<Record<string, readonly string[] | "silent" | "broken">>;

// RFC 1035 section 4.1.1.
const HEADER_BYTES = 12;
const RESPONSE = 0x8180;
const SERVER_FAILURE = 2;
const NAME_ERROR = 3;
const TYPE_A = 1;

/** A name server on loopback that knows IPv4 addresses of a few names. */
export async function startNameServer(answers: NameAnswers) {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (query, from) => {
    const { name, type, end } = question(query);
    asked.push(name);
    const answer = answers[name];
    if (answer === "silent") return;
    const code = answer === "broken" ? SERVER_FAILURE : answer ? 0 : NAME_ERROR;
    const records = Array.isArray(answer) && type === TYPE_A ? answer.map(record) : [];
    const header = Buffer.alloc(HEADER_BYTES);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(RESPONSE | code, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    socket.send(
      Buffer.concat([header, query.subarray(HEADER_BYTES, end), ...records]),
      from.port,
      from.address,
    );
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    server: `127.0.0.1:${socket.address().port}`,
    asked: asked as readonly string[],
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, "close");
    },
  };
}

function question(query: Buffer) {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** An A record whose name points to the question, valid for no time. */
function record(address: string): Buffer {
  const octets = address.split(".").map(Number);
  return Buffer.from([0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, ...octets]);
}
