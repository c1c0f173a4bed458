import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, isIPv6 } from "node:net";
import type { Registry } from "prom-client";
import { ConnectorError } from "../errors.ts";
import type { HealthBoard } from "./health.ts";

/** Own limits on who asks. */
const MAX_CONNECTIONS = 100;
const REQUEST_TIMEOUT_MS = 10_000;

/** A listener for probes and Prometheus, apart from every listener that serves. */
export interface HealthListener extends AsyncDisposable {
  /** E.g. `http://127.0.0.1:9464`. */
  readonly url: string;
}

/**
 * Serves `/live` (the process runs), `/ready` (200 once `isStarted()` and while no check is unhealthy, else 503; JSON
 * with every check) and `/metrics` (Prometheus).
 *
 * @throws ConnectorError `port-taken` with address and port, `listen-failed`.
 */
export async function startHealthListener(options: {
  readonly address: string;
  readonly port: number;
  readonly board: HealthBoard;
  readonly metrics: Registry;
  readonly isStarted: () => boolean;
}): Promise<HealthListener> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: 8_192 });
  server.maxConnections = MAX_CONNECTIONS;
  server.on("request", (request, response) => {
    respond(request, response, options).catch(() => response.destroy());
  });
  const { address, port } = await listen(server, options);
  return {
    url: `http://${isIPv6(address) ? `[${address}]` : address}:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * Makes a server listen and says clearly why it cannot.
 *
 * @throws ConnectorError `port-taken`, `listen-failed`.
 */
export async function listen(
  server: Pick<Server, "listen" | "address" | "once" | "off">,
  at: { readonly address: string; readonly port: number },
): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException) => reject(notListening(at, cause));
    server.once("error", onError);
    server.listen({ host: at.address, port: at.port }, () => {
      server.off("error", onError);
      resolve();
    });
  });
  return server.address() as AddressInfo;
}

function notListening(
  { address, port }: { readonly address: string; readonly port: number },
  cause: NodeJS.ErrnoException,
): ConnectorError {
  if (cause.code === "EADDRINUSE") {
    return new ConnectorError(
      "port-taken",
      `port ${port} on ${address} is taken: stop what listens there, or configure another port`,
      { cause },
    );
  }
  return new ConnectorError(
    "listen-failed",
    `cannot listen on ${address} port ${port}: ${cause.message}`,
    { cause },
  );
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  of: {
    readonly board: HealthBoard;
    readonly metrics: Registry;
    readonly isStarted: () => boolean;
  },
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return send(response, 405, "text/plain", "only GET\n");
  }
  switch (request.url) {
    case "/live":
      return send(response, 200, "text/plain", "live\n");
    case "/ready": {
      const checks = await of.board.results();
      const isReady = of.isStarted() && checks.every(({ status }) => status !== "unhealthy");
      const body = JSON.stringify({ isReady, isStarted: of.isStarted(), checks });
      return send(response, isReady ? 200 : 503, "application/json", `${body}\n`);
    }
    case "/metrics":
      return send(response, 200, of.metrics.contentType, await of.metrics.metrics());
    default:
      return send(response, 404, "text/plain", "there are /live, /ready and /metrics\n");
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
  response.end(body);
}
