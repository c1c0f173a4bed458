import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import type { Duplex } from "node:stream";
import { connect, type TLSSocket } from "node:tls";
import { SERVER_NAME, type TlsCertificates } from "../fixtures/tls-certificates.ts";

/** One suite for both sides, so that they seal with the same cipher. */
const CIPHER = "TLS_AES_256_GCM_SHA384";

/** How a device reaches the byte server: through a CONNECT proxy, or through one that forwards TCP to a fixed place. */
export interface Way {
  readonly port: number;
  readonly certificates: TlsCertificates;
  /** The `host:port` to CONNECT to; absent for the TCP proxy. */
  readonly target?: string;
  /** Streams of one HTTP/2 connection in place of connections. */
  readonly isHttp2?: boolean;
}

/** The window of a stream that receives: what is on its way at 1 GB/s and 4 ms. */
const WINDOW_BYTES = 4 * 1_048_576;
const sessions = new Map<number, ClientHttp2Session>();

/** Opens one tunnel. Throws where TLS, the cipher or the CONNECT is not what was asked for. */
export async function openTunnel(way: Way): Promise<Duplex> {
  return way.isHttp2 ? await openStream(way) : await openConnection(way);
}

/** One CONNECT stream of the connection that all streams of this way share. */
async function openStream(way: Way): Promise<Duplex> {
  let session = sessions.get(way.port);
  if (session === undefined || session.destroyed) {
    const socket = await connectTls(way, ["h2"]);
    const settings = { initialWindowSize: WINDOW_BYTES, enablePush: false };
    session = connectHttp2("https://gateway", { createConnection: () => socket, settings });
    sessions.set(way.port, session);
    await once(session, "connect");
    session.setLocalWindowSize(WINDOW_BYTES * 4);
  }
  const stream = session.request({ ":method": "CONNECT", ":authority": way.target });
  const [{ ":status": status }] = (await once(stream, "response")) as [Record<string, unknown>];
  if (status !== 200) throw new Error(`CONNECT ${way.target} was answered ${status}`);
  return stream;
}

async function openConnection(way: Way): Promise<Duplex> {
  const socket = await connectTls(way, []);
  try {
    if (way.target !== undefined) await connectTo(socket, way.target);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function connectTls(way: Way, protocols: string[]): Promise<TLSSocket> {
  const { caFile, device } = way.certificates;
  const socket = connect({
    host: "127.0.0.1",
    port: way.port,
    servername: SERVER_NAME,
    ca: readFileSync(caFile),
    cert: readFileSync(device.certificateFile),
    key: readFileSync(device.keyFile),
    minVersion: "TLSv1.3",
    ciphers: CIPHER,
    ...(protocols.length > 0 && { ALPNProtocols: protocols }),
  });
  socket.setNoDelay(true);
  try {
    await once(socket, "secureConnect");
    const { name } = socket.getCipher();
    if (name !== CIPHER) throw new Error(`${name} was negotiated instead of ${CIPHER}`);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function connectTo(socket: TLSSocket, target: string): Promise<void> {
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    head += chunk.toString("latin1");
  }
  if (!/^HTTP\/1\.1 200 /.test(head)) throw new Error(`CONNECT ${target} was answered:\n${head}`);
  // Nothing of the tunnel can have come with the head: the byte server waits for the order.
  socket.pause();
}
