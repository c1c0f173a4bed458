import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answerWith } from "../process/answering.ts";

/** What serving some bytes over HTTP costs at least in Node. */

const handlers = {
  /** Serves `body` under any path, and returns the address. */
  serve: async ({ body }: { body: Uint8Array }): Promise<string> => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { "Content-Length": body.length });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  },
};
export type BareServerProgram = typeof handlers;
answerWith(handlers);
