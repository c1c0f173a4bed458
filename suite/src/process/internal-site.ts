import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A sentence of the page that a fetch through the tunnel is recognised by. */
export const SITE_SENTENCE = "This page is inside the network.";

/** The web site that stands for everything internal. */
export interface InternalSite extends AsyncDisposable {
  readonly port: number;
  /** How many connections are open to it now. */
  openConnections(): Promise<number>;
}

/**
 * Serves `/` (a page), `/clock` (a line now and then, one a second until the client goes) on loopback.
 * `/clock` is there to watch an open connection being cut.
 */
export async function startInternalSite(
  port: number,
  address = "127.0.0.1",
): Promise<InternalSite> {
  const server = createServer((request, response) => {
    if (request.url === "/") sendPage(response);
    else if (request.url === "/clock") sendClock(response);
    else
      response
        .writeHead(404, { "content-type": "text/plain" })
        .end("There is only / and /clock.\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    openConnections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function sendPage(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end(`<!doctype html><title>Intranet</title><h1>Intranet</h1><p>${SITE_SENTENCE}</p>\n`);
}

function sendClock(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  const tick = () => response.write(`${new Date().toISOString()}\n`);
  tick();
  const timer = setInterval(tick, 1_000);
  response.once("close", () => clearInterval(timer));
}
