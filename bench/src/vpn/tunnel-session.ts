import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";

/** What a session needs to log in by certificate. PEM. */
export interface SessionPapers {
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** CSTP: `53 54 46 01 | length16 BE | type | 00`, one frame to a TLS record. */
const FRAME_HEAD_BYTES = 8;
const DATA = 0;
const DPD_REQUEST = 3;
const DPD_RESPONSE = 4;
const MAX_HEAD_BYTES = 65_536;
const LOGIN = `<?xml version="1.0" encoding="UTF-8"?>
<config-auth client="vpn" type="init"><version who="vpn">v9.01</version><device-id>linux-64</device-id></config-auth>`;

/** One VPN session over TLS that costs its process little: no TUN, no DTLS; packets are made and counted by hand. */
export class TunnelSession {
  readonly address: Buffer;
  readonly mtu: number;
  readonly #socket: TLSSocket;
  #kept: Buffer = Buffer.alloc(0);
  #onDpdResponse = () => {};
  bytesDown = 0;

  private constructor(socket: TLSSocket, address: string, mtu: number) {
    this.#socket = socket;
    this.address = Buffer.from(address.split(".").map(Number));
    this.mtu = mtu;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => {});
  }

  /** Logs in by certificate and opens the tunnel. Throws where the server answers otherwise than with a tunnel. */
  static async open(papers: SessionPapers): Promise<TunnelSession> {
    const cookie = await logIn(papers);
    const socket = await connectTls(papers);
    socket.write(
      [
        "CONNECT /CSCOSSLC/tunnel HTTP/1.1",
        `Host: ${papers.serverName}`,
        "User-Agent: Open AnyConnect VPN Agent v9.01",
        `Cookie: webvpn=${cookie}`,
        "X-CSTP-Version: 1",
        "X-CSTP-Hostname: bench",
        "X-CSTP-Base-MTU: 1500",
        "X-CSTP-MTU: 1400",
        "X-CSTP-Address-Type: IPv4",
        "",
        "",
      ].join("\r\n"),
    );
    const head = await readHead(socket);
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "mi").exec(head)?.[1]?.trim();
    const address = field("X-CSTP-Address");
    if (!/^HTTP\/1\.1 200 /.test(head) || address === undefined) {
      throw new Error(`no tunnel:\n${head}`);
    }
    const session = new TunnelSession(socket, address, Number(field("X-CSTP-MTU") ?? 1_400));
    await session.#answered();
    return session;
  }

  /** Sends one inner packet. Resolves when the kernel has it: Node seals writes that wait together as one record. */
  send(packet: Buffer): Promise<void> {
    return this.#write(DATA, packet);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Until the tunnel itself has answered: before that, a login of the same device takes the session for one that waits for it. */
  async #answered(): Promise<void> {
    const response = new Promise<void>((resolve, reject) => {
      this.#onDpdResponse = resolve;
      this.#socket.once("close", () => reject(new Error("the tunnel was closed at once")));
    });
    await this.#write(DPD_REQUEST, Buffer.alloc(0));
    await response;
  }

  #write(type: number, payload: Buffer): Promise<void> {
    const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payload.length);
    frame.writeUInt32BE(0x53544601, 0);
    frame.writeUInt16BE(payload.length, 4);
    frame.writeUInt16BE(type << 8, 6);
    payload.copy(frame, FRAME_HEAD_BYTES);
    return new Promise((resolve, reject) => {
      this.#socket.write(frame, (error) => (error ? reject(error) : resolve()));
    });
  }

  #read(chunk: Buffer): void {
    let bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    while (bytes.length >= FRAME_HEAD_BYTES) {
      const length = bytes.readUInt16BE(4);
      if (bytes.length < FRAME_HEAD_BYTES + length) break;
      if (bytes[6] === DATA) this.bytesDown += length;
      if (bytes[6] === DPD_RESPONSE) this.#onDpdResponse();
      bytes = bytes.subarray(FRAME_HEAD_BYTES + length);
    }
    this.#kept = Buffer.from(bytes);
  }
}

async function logIn(papers: SessionPapers): Promise<string> {
  const socket = await connectTls(papers);
  try {
    socket.write(
      [
        "POST / HTTP/1.1",
        `Host: ${papers.serverName}`,
        "User-Agent: Open AnyConnect VPN Agent v9.01",
        "X-Transcend-Version: 1",
        "X-Aggregate-Auth: 1",
        "Content-Type: application/xml; charset=utf-8",
        `Content-Length: ${LOGIN.length}`,
        "",
        LOGIN,
      ].join("\r\n"),
    );
    const head = await readHead(socket);
    const cookie = /^Set-Cookie: webvpn=([^;\s]+)/im.exec(head)?.[1];
    if (cookie === undefined) throw new Error(`no cookie:\n${head}`);
    return cookie;
  } finally {
    socket.destroy();
  }
}

async function connectTls(papers: SessionPapers): Promise<TLSSocket> {
  const { host, port, serverName: servername, ca, certificate: cert, key } = papers;
  const socket = connect({ host, port, servername, ca, cert, key });
  socket.setNoDelay(true);
  await once(socket, "secureConnect");
  return socket;
}

async function readHead(socket: TLSSocket): Promise<string> {
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    head += chunk.toString("latin1");
    if (head.length > MAX_HEAD_BYTES) throw new Error("a head without an end");
  }
  // What has come behind the head are frames of the tunnel; this early there are none that count.
  return head.slice(0, head.indexOf("\r\n\r\n") + 2);
}
