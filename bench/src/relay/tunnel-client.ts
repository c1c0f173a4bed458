import { once } from "node:events";
import { readFileSync } from "node:fs";
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
}

/** Opens one tunnel. Throws where TLS, the cipher or the CONNECT is not what was asked for. */
export async function openTunnel(way: Way): Promise<TLSSocket> {
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
  });
  socket.setNoDelay(true);
  try {
    await once(socket, "secureConnect");
    const { name } = socket.getCipher();
    if (name !== CIPHER) throw new Error(`${name} was negotiated instead of ${CIPHER}`);
    if (way.target !== undefined) await connectTo(socket, way.target);
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
