import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { wholeBody } from "@isthmus/shared/link/message-body";

/** What a simulator answers: a status and JSON, nothing at all, or the end of the connection. */
export type JsonAnswer = { readonly status: number; readonly body?: unknown } | "hang" | "cut";

export interface JsonRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  /** Undefined where there is none; a body that is no JSON is answered with 400 before anybody sees it. */
  readonly body: unknown;
  /** Over TLS: whether the client showed a certificate that the server's authority vouches for. */
  readonly isAuthorized: boolean;
}

/** An HTTP server of JSON on this machine, for simulators of an API. */
export interface JsonServer extends AsyncDisposable {
  readonly url: string;
}

const BODY_LIMIT = { maxBytes: 1_048_576, code: "body-too-large" };

/** Over TLS where `tls` is given. What `answer` throws is a fault of the simulator: status 500 with its words. */
export async function startJsonServer(
  answer: (request: JsonRequest) => JsonAnswer | Promise<JsonAnswer>,
  tls?: ServerOptions,
): Promise<JsonServer> {
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    respond(request, response, answer).catch((error: unknown) => {
      response.writeHead(500, { "content-type": "application/json" });
      response.end(
        JSON.stringify({ errors: [`simulator: ${error}`], error_message: String(error) }),
      );
    });
  };
  const server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (request: JsonRequest) => JsonAnswer | Promise<JsonAnswer>,
): Promise<void> {
  const text = (await wholeBody(request, BODY_LIMIT)).toString("utf8");
  const url = new URL(request.url ?? "", "http://simulator");
  const parsed = text === "" ? { value: undefined } : jsonOf(text);
  const result: JsonAnswer =
    parsed === undefined
      ? { status: 400, body: { errors: ["failed to parse JSON input"] } }
      : await answer({
          method: request.method ?? "",
          path: url.pathname,
          query: url.searchParams,
          headers: request.headers,
          body: parsed.value,
          isAuthorized: "authorized" in request.socket && request.socket.authorized === true,
        });
  if (result === "hang") return;
  if (result === "cut") {
    request.socket.destroy();
    return;
  }
  response.writeHead(result.status, { "content-type": "application/json" });
  response.end(result.body === undefined ? "" : JSON.stringify(result.body));
}

function jsonOf(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
