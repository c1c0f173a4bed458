import type { ClientRequest, ClientRequestArgs, IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { ConnectorError } from "../errors.ts";
import type { CloudAddress } from "./cloud-address.ts";
import { connectToCloud, isEncrypted } from "./cloud-address.ts";
import type { Frame } from "./frame-list.ts";
import type { LinkTransport, TransportListener } from "./link-transport.ts";
import { MAX_TEXT_FRAME_BYTES } from "./messages.ts";

const UPGRADE_TIMEOUT_MS = 10_000;
/** After this a peer that does not answer a closing frame is cut off. */
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * The mask of a frame within TLS, where it protects nobody: it is there so that a script in a browser cannot choose what an intermediary reads that
 * takes the octets of an unencrypted WebSocket for HTTP (RFC 6455, 10.3). Section 5.3 asks for a random one all the same; whoever receives a frame
 * goes by the mask that it has. `ws` leaves out its loop over each octet where it is zero, as the mask that it hands over is, and so does its receiver.
 */
function leaveZero(): void {
  // Nothing to do: it is zero.
}

/**
 * Opens a WebSocket to the control plane. Throws `websocket-refused` (retryable) where something on the way does not let
 * WebSockets through, `websocket-busy` (retryable) where the control plane has no room now, and what `connectToCloud`
 * throws.
 */
export async function openWebSocket(
  address: CloudAddress,
  listener: TransportListener,
  signal: AbortSignal,
): Promise<LinkTransport> {
  const socket = await connectToCloud(address, signal);
  const options: WebSocket.ClientOptions & ClientRequestArgs & { closeTimeout: number } = {
    createConnection: () => socket,
    perMessageDeflate: false,
    maxPayload: MAX_TEXT_FRAME_BYTES,
    handshakeTimeout: UPGRADE_TIMEOUT_MS,
    closeTimeout: CLOSE_TIMEOUT_MS,
    followRedirects: false,
    ...(isEncrypted(address.url) && { generateMask: leaveZero }),
  };
  const webSocket = new WebSocket(address.url, options);
  const transport = new WebSocketTransport(webSocket, listener);
  await upgraded(webSocket, address, signal);
  return transport;
}

async function upgraded(webSocket: WebSocket, address: CloudAddress, signal: AbortSignal) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const refused = (why: string, cause?: unknown, code = "websocket-refused") =>
    reject(
      new ConnectorError(code, `${address.url.host} gave no WebSocket: ${why}`, {
        isRetryable: true,
        cause,
      }),
    );
  const onAbort = () => webSocket.terminate();
  signal.addEventListener("abort", onAbort);
  webSocket.once("open", resolve);
  webSocket.once("error", (cause) => refused("the upgrade failed", cause));
  webSocket.once("close", () => refused("closed before it was open"));
  webSocket.once("unexpected-response", (request: ClientRequest, response: IncomingMessage) => {
    // A control plane that is full says so, and nothing on the way is to blame: it is no reason to leave WebSockets.
    const code = response.statusCode === 503 ? "websocket-busy" : "websocket-refused";
    refused(`HTTP ${response.statusCode}`, undefined, code);
    request.destroy();
  });
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

class WebSocketTransport implements LinkTransport {
  readonly kind = "websocket";
  readonly #webSocket: WebSocket;
  #hasClosed = false;
  #error: ConnectorError | undefined;

  constructor(webSocket: WebSocket, listener: TransportListener) {
    this.#webSocket = webSocket;
    webSocket.on("message", (data: Buffer, isBinary: boolean) => {
      listener.onFrame(isBinary ? data : data.toString("utf8"));
    });
    webSocket.on("error", (cause) => {
      this.#error = lost("failed", cause);
    });
    webSocket.on("close", () => {
      listener.onClose(this.#hasClosed ? undefined : (this.#error ?? lost("was closed")));
    });
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  send(frame: Frame): void {
    if (this.#webSocket.readyState === WebSocket.OPEN) this.#webSocket.send(frame);
  }

  close(): void {
    this.#hasClosed = true;
    this.#webSocket.close();
  }
}

function lost(how: string, cause?: unknown): ConnectorError {
  return new ConnectorError("link-lost", `the WebSocket ${how}`, { isRetryable: true, cause });
}
