import { createSocket, type Socket } from "node:dgram";
import { ConnectorError } from "@isthmus/shared/errors";
import type { AccessAnswer } from "../protocol/radius-packet.ts";

export interface RadiusServer {
  readonly host: string;
  readonly port: number;
}

/** Own limit: datagrams looked at for one request. */
const MAX_DATAGRAMS = 100;

/**
 * Sends a request until a genuine answer comes: the same bytes from the same port each time (RFC 2865 section 2.5), so that the
 * server knows a repetition and does not count a password, or use a one-time password up, twice. The socket is connected, so
 * that only the server's address is heard; forged answers are passed over.
 *
 * @throws ConnectorError `radius-unreachable`, or the signal's reason
 */
export async function exchange(
  server: RadiusServer,
  of: {
    readonly bytes: Buffer;
    readonly read: (answer: Buffer) => AccessAnswer;
    readonly timeoutMs: number;
    readonly retries: number;
  },
  signal: AbortSignal,
): Promise<AccessAnswer> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<AccessAnswer>();
  const socket = createSocket(server.host.includes(":") ? "udp6" : "udp4");
  let why = "no answer";
  let seen = 0;
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("error", reject);
  socket.on("message", (message) => {
    seen += 1;
    try {
      resolve(of.read(message));
    } catch (error) {
      why = reasonOf(error);
      if (seen >= MAX_DATAGRAMS) reject(new Error(why));
    }
  });
  let sent = 0;
  const send = () => {
    if (sent > of.retries) return reject(new Error(why));
    sent += 1;
    socket.send(of.bytes, (error) => error && reject(error));
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([promise, connected(socket, server)]);
    send();
    timer = setInterval(send, of.timeoutMs);
    return await promise;
  } catch (error) {
    signal.throwIfAborted();
    const message = `RADIUS at ${server.host}:${server.port}: ${reasonOf(error)}; check address, port and shared secret`;
    throw new ConnectorError("radius-unreachable", message, { isRetryable: true, cause: error });
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", onAbort);
    socket.close();
  }
}

/** Node gives the callback the error of a name that cannot be resolved, and throws from a `send` after it. */
function connected(socket: Socket, { host, port }: RadiusServer): Promise<void> {
  return new Promise((resolve, reject) => {
    const onConnect = (error?: Error) => (error ? reject(error) : resolve());
    socket.connect(port, host, onConnect as () => void);
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : "no answer";
}
