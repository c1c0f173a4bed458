import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type TLSSocket } from "node:tls";
import type { ClientDoor } from "./doors.ts";
import type { DevicePapers } from "./papers.ts";

/** Frame types of CSTP (openconnect/protocol draft 1.1, section 2.2). */
export const FRAME = {
  data: 0,
  dpdRequest: 3,
  dpdResponse: 4,
  disconnect: 5,
  keepalive: 7,
  compressed: 8,
  terminate: 9,
} as const;

const HEAD_BYTES = 8;
const MAX_HEAD_BYTES = 65_536;
const ANSWER_TIMEOUT_MS = 30_000;
const LOGIN = `<?xml version="1.0" encoding="UTF-8"?>
<config-auth client="vpn" type="init"><version who="vpn">v9.01</version><device-id>linux-64</device-id></config-auth>`;

export interface ReceivedFrame {
  readonly type: number;
  readonly payload: Buffer;
}

/** A session over TLS, made by hand: sends whatever a test says, and keeps what comes. */
export class RawClient implements Disposable {
  readonly address: string;
  readonly ipv6Address: string;
  /** What a DTLS client names this session by, hex; empty where it asked for none. */
  readonly appId: string;
  readonly frames: ReceivedFrame[] = [];
  readonly #socket: TLSSocket;
  #kept: Buffer = Buffer.alloc(0);
  #asked = 0;

  private constructor(socket: TLSSocket, head: string) {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "mi").exec(head)?.[1]?.trim();
    this.#socket = socket;
    this.address = field("X-CSTP-Address") ?? "";
    this.ipv6Address = (field("X-CSTP-Address-IP6") ?? "").replace(/\/.*/, "");
    this.appId = field("X-DTLS-App-ID") ?? "";
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => {});
  }

  /**
   * Logs in by certificate and opens the tunnel; `fields` are more lines for its CONNECT. Throws where the gateway answers
   * otherwise.
   */
  static async open(
    door: ClientDoor,
    device: DevicePapers,
    serverCaFile: string,
    fields: readonly string[] = [],
  ) {
    const papers = { ...device.pem, ca: readFileSync(serverCaFile, "utf8") };
    const cookie = await logIn(door, papers);
    const socket = await connectTls(door, papers);
    socket.write(
      request("CONNECT /CSCOSSLC/tunnel HTTP/1.1", [
        `Cookie: webvpn=${cookie}`,
        "X-CSTP-Version: 1",
        "X-CSTP-Hostname: lab",
        "X-CSTP-Base-MTU: 1500",
        "X-CSTP-MTU: 1400",
        "X-CSTP-Address-Type: IPv6,IPv4",
        "X-CSTP-Full-IPv6-Capability: true",
        ...fields,
      ]),
    );
    const head = await readHead(socket);
    if (!/^HTTP\/1\.1 200 /.test(head)) throw new Error(`no tunnel:\n${head}`);
    return new RawClient(socket, head);
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && !this.#socket.readableEnded;
  }

  /** Octets as they are, in one TLS record. */
  raw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  send(packet: Buffer): void {
    this.raw(frame(FRAME.data, packet));
  }

  /** Returns once the gateway has judged all that was sent before: it answers in order. */
  async settled(): Promise<void> {
    this.#asked += 1;
    const mark = Buffer.from(`mark ${this.#asked}`);
    this.raw(frame(FRAME.dpdRequest, mark));
    const isAnswer = (one: ReceivedFrame) =>
      one.type === FRAME.dpdResponse && one.payload.equals(mark);
    await this.#until(() => this.frames.some(isAnswer), "dead peer detection is not answered");
  }

  /** Waits for the connection's end; what the gateway said last of all. */
  async ended(): Promise<ReceivedFrame | undefined> {
    await this.#until(() => !this.isOpen, "the connection goes on");
    return this.frames.findLast(({ type }) => type !== FRAME.dpdResponse);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    const from = performance.now();
    while (!holds()) {
      if (performance.now() - from > ANSWER_TIMEOUT_MS) throw new Error(what);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #read(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#kept, chunk]);
    while (bytes.length >= HEAD_BYTES) {
      const length = bytes.readUInt16BE(4);
      if (bytes.length < HEAD_BYTES + length) break;
      const payload = Buffer.from(bytes.subarray(HEAD_BYTES, HEAD_BYTES + length));
      this.frames.push({ type: bytes[6] ?? 0, payload });
      bytes = bytes.subarray(HEAD_BYTES + length);
    }
    this.#kept = bytes;
  }
}

/** One frame; `length` in place of the payload's own. */
export function frame(type: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(0x53544601, 0);
  head.writeUInt16BE(length, 4);
  head[6] = type;
  return Buffer.concat([head, payload]);
}

interface TlsPapers {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
}

async function logIn(door: ClientDoor, papers: TlsPapers): Promise<string> {
  const socket = await connectTls(door, papers);
  try {
    const fields = ["X-Aggregate-Auth: 1", "Content-Type: application/xml; charset=utf-8"];
    const length = `Content-Length: ${LOGIN.length}`;
    socket.write(request("POST / HTTP/1.1", [...fields, length]) + LOGIN);
    const head = await readHead(socket);
    const cookie = /^Set-Cookie: webvpn=([^;\s]+)/im.exec(head)?.[1];
    if (cookie === undefined) throw new Error(`no cookie:\n${head}`);
    return cookie;
  } finally {
    socket.destroy();
  }
}

function request(line: string, fields: readonly string[]): string {
  const always = ["Host: localhost", "User-Agent: Open AnyConnect VPN Agent v9.01"];
  return [line, ...always, ...fields, "", ""].join("\r\n");
}

async function connectTls(door: ClientDoor, papers: TlsPapers): Promise<TLSSocket> {
  const { certificate: cert, key, ca } = papers;
  const socket = connect({ path: door.path, servername: "localhost", ca, cert, key });
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
  return head.slice(0, head.indexOf("\r\n\r\n") + 2);
}
